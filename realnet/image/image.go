package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Images of a program.
const (
	Node       = "node"        // runs a node
	Sleep      = "sleep"       // the sample functions
	Loop       = "loop"        //
	FaceDetect = "face-detect" //
)

// UID is the user that the program is in an image, and its group: nobody in particular, and not root.
const (
	UID  = 65532
	User = "65532:65532"
)

// kinds are the commands of the images; they are the same but for these.
var kinds = map[string]struct {
	command []string
	ports   []string
}{
	Node:       {[]string{"node", "--bind", "0.0.0.0"}, []string{"18080/tcp", "19000/tcp", "19000/udp", "19020/tcp", "8765/tcp"}},
	Sleep:      {[]string{"function", "sleep", "--bind", "0.0.0.0"}, []string{"8080/tcp"}},
	Loop:       {[]string{"function", "loop", "--bind", "0.0.0.0"}, []string{"8080/tcp"}},
	FaceDetect: {[]string{"function", "face-detect", "--bind", "0.0.0.0"}, []string{"8080/tcp"}},
}

// Kinds are the names of the images, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Images are those of one program.
type Images struct {
	Program Program
	ID      string // of the program: the tag of its images
	layer   v1.Layer
}

// New reads a program, and makes its layer.
func New(p Program) (*Images, error) {
	program, err := os.ReadFile(p.Path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(program)
	content, err := layerOf(program)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("the layer of %s: %w", p.Path, err)
	}
	return &Images{p, hex.EncodeToString(sum[:6]), layer}, nil
}

// layerOf is the tar of a layer: the program, and a directory that a user without a name may write to.
func layerOf(program []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o755, Uid: UID, Gid: UID},
		{Typeflag: tar.TypeReg, Name: "p2pfaas", Mode: 0o755, Size: int64(len(program))},
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
	} {
		f.Format, f.ModTime = tar.FormatUSTAR, time.Unix(0, 0)
		if err := w.WriteHeader(&f); err != nil {
			return nil, err
		}
		if f.Typeflag == tar.TypeReg {
			if _, err := w.Write(program); err != nil {
				return nil, err
			}
		}
	}
	err := w.Close() // writes the end
	return b.Bytes(), err
}

// Tag names an image by what is in it.
func (i *Images) Tag(kind string) string { return "p2pfaas/" + kind + ":" + i.ID }

// image makes one of a kind.
func (i *Images) image(kind string) (v1.Image, error) {
	k, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("there is no image %q: there are %q", kind, Kinds())
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	m, err := mutate.Append(base, mutate.Addendum{Layer: i.layer,
		History: v1.History{Created: v1.Time{Time: time.Unix(0, 0)}, CreatedBy: "p2pfaas image"}})
	if err != nil {
		return nil, err
	}
	c, err := m.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Created, c.OS = v1.Time{Time: time.Unix(0, 0)}, "linux"
	c.Architecture, c.Variant = i.Program.Platform.Arch, i.Program.Platform.Variant
	c.Config = v1.Config{User: User, WorkingDir: "/", Entrypoint: []string{"/p2pfaas"}, Cmd: k.command,
		Env:          []string{"PATH=/"},
		ExposedPorts: map[string]struct{}{},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/p2pfaas", "health"}, Interval: 30 * time.Second,
			Timeout: 5 * time.Second, StartPeriod: 10 * time.Second, Retries: 3},
		Labels: map[string]string{"org.opencontainers.image.title": "p2pfaas " + kind, "org.opencontainers.image.licenses": "Apache-2.0"}}
	if kind != Node {
		c.Config.Healthcheck.Test = append(c.Config.Healthcheck.Test, "http://127.0.0.1:8080/healthz")
	}
	for _, p := range k.ports {
		c.Config.ExposedPorts[p] = struct{}{}
	}
	return mutate.ConfigFile(m, c)
}

// Write writes images as a tar that `docker load` takes: names says the kind of each tag. The layer is in it once. (The library's own
// writer orders the files at random.)
func (i *Images) Write(w io.Writer, names map[string]string) error {
	images := map[name.Reference]v1.Image{}
	made := map[string]v1.Image{}
	files := map[string][]byte{}
	for _, tag := range slices.Sorted(maps.Keys(names)) {
		kind := names[tag]
		if made[kind] == nil {
			m, err := i.image(kind)
			if err != nil {
				return err
			}
			config, err := m.ConfigName()
			if err != nil {
				return err
			}
			if files[config.String()], err = m.RawConfigFile(); err != nil {
				return err
			}
			made[kind] = m
		}
		t, err := name.NewTag(tag)
		if err != nil {
			return err
		}
		images[t] = made[kind]
	}
	manifest, err := tarball.ComputeManifest(images)
	if err != nil {
		return err
	}
	if files["manifest.json"], err = json.Marshal(manifest); err != nil {
		return err
	}
	layer, err := i.layer.Compressed()
	if err != nil {
		return err
	}
	defer layer.Close()
	if files[manifest[0].Layers[0]], err = io.ReadAll(layer); err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(files[path])), Format: tar.FormatUSTAR,
			ModTime: time.Unix(0, 0)}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(files[path]); err != nil {
			return err
		}
	}
	return t.Close()
}

// Layout writes the images of several platforms into a directory, in the OCI's layout: an index for each kind, annotated with its name.
func Layout(dir string, all []*Images, tag string) error {
	root, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	for _, kind := range Kinds() {
		index := mutate.IndexMediaType(v1.ImageIndex(empty.Index), types.OCIImageIndex)
		for _, i := range all {
			m, err := i.image(kind)
			if err != nil {
				return err
			}
			d, err := partial.Descriptor(m)
			if err != nil {
				return err
			}
			p := i.Program.Platform
			d.Platform = &v1.Platform{OS: "linux", Architecture: p.Arch, Variant: p.Variant}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: m, Descriptor: *d})
		}
		err := root.AppendIndex(index, layout.WithAnnotations(map[string]string{
			"org.opencontainers.image.ref.name": "p2pfaas/" + kind + ":" + tag}))
		if err != nil {
			return err
		}
	}
	return nil
}
