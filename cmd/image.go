package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// imageFlags are the flags of image.
type imageFlags struct {
	programFlags
	platforms []string
	out       string
	layout    bool
}

func newImage() *cobra.Command {
	var f imageFlags
	c := &cobra.Command{
		Use:   "image",
		Short: "pack this program into container images",
		Long: `image writes the images of nodes and of sample functions: a tar for each platform, which docker load takes, and which
needs no registry. They are of one layer, this program. For another platform it is built from its sources by the go command.
The tags name what is in the images; the same program gives the same files. p2pfaas deploy does all this by itself.`,
		Example: `  p2pfaas image --out images
  p2pfaas image --platform arm64 && docker load -i images/p2pfaas-linux-arm64.tar
  p2pfaas image --layout && skopeo copy --all oci:images/oci:p2pfaas/node:latest docker://example.org/p2pfaas/node`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.programFlags.add(c)
	fl := c.Flags()
	var all []string
	for _, p := range image.Platforms() {
		all = append(all, p.String())
	}
	fl.StringSliceVar(&f.platforms, "platform", []string{image.Own().String()}, "platforms: "+strings.Join(all, ", ")+", or all")
	fl.StringVar(&f.out, "out", "images", "directory to write to")
	fl.BoolVar(&f.layout, "layout", false, "write the directory oci, too: images for several platforms, for tools that push to a registry")
	completeFlag(c, "platform", append(all, "all")...)
	return c
}

// programFlags say where the program for a platform comes from.
type programFlags struct {
	sources  string
	programs []string
}

func (f *programFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.sources, "sources", ".", "directory in the module that this program was built from, to build it for other platforms")
	c.Flags().StringArrayVar(&f.programs, "program", nil, "the program for a platform, built elsewhere: --program arm64=FILE; may be repeated")
}

// images packs the programs for these platforms. cache is where programs are built.
func (f *programFlags) images(c *cobra.Command, platforms []image.Platform, cache string) ([]*image.Images, error) {
	given := map[image.Platform]string{}
	var problems []error
	for _, text := range f.programs {
		platform, path, ok := strings.Cut(text, "=")
		p, err := image.ParsePlatform(platform)
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("--program %s: write PLATFORM=FILE, as in arm64=./p2pfaas-arm64", text))
		case err != nil:
			problems = append(problems, fmt.Errorf("--program %s: %w", text, err))
		default:
			given[p] = path
			problems = append(problems, image.CheckProgram(image.Program{Platform: p, Path: path}))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, input(err)
	}
	b := image.Builder{Dir: f.sources, Cache: cache, Check: sameAlgorithms,
		Flags: []string{"-X", "github.com/p2pfaas/p2pfaas/cmd.built=" + version()}}
	var all []*image.Images
	for _, p := range platforms {
		program := image.Program{Platform: p, Path: given[p]}
		if program.Path == "" {
			var err error
			if program, err = b.Program(c.Context(), p); err != nil {
				return nil, err
			}
		}
		i, err := image.New(program)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// sameAlgorithms reports whether the packages core and learner in these directories are those of this program.
func sameAlgorithms(coreDir, learnerDir string) error {
	for dir, own := range map[string]fs.FS{coreDir: core.Source(), learnerDir: learner.Source()} {
		there, err := hashSources(within{os.DirFS(dir), own})
		if err != nil {
			return err
		}
		if here, err := hashSources(own); err != nil || here != there {
			return errors.Join(err, fmt.Errorf("the sources in %s are not those that this program was built from: build this program anew "+
				"from them, so that what is deployed is what was simulated", dir))
		}
	}
	return nil
}

// within is a file system without the directories that another one does not have.
type within struct {
	fs.FS
	of fs.FS
}

// ReadDir implements fs.ReadDirFS.
func (w within) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(w.FS, name)
	var entries []fs.DirEntry
	for _, e := range all {
		if _, err := fs.Stat(w.of, filepath.ToSlash(filepath.Join(name, e.Name()))); err == nil || !e.IsDir() {
			entries = append(entries, e)
		}
	}
	return entries, err
}

func (f *imageFlags) run(c *cobra.Command) error {
	var platforms []image.Platform
	var problems []error
	for _, text := range f.platforms {
		if text == "all" {
			platforms = append(platforms, image.Platforms()...)
			continue
		}
		p, err := image.ParsePlatform(text)
		platforms, problems = append(platforms, p), append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return input(fmt.Errorf("--platform: %w", err))
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return input(err)
	}
	all, err := f.programFlags.images(c, platforms, filepath.Join(f.out, "programs"))
	if err != nil {
		return err
	}
	for _, i := range all {
		path := filepath.Join(f.out, "p2pfaas-linux-"+strings.ReplaceAll(i.Program.Platform.String(), "/", "-")+".tar")
		size, err := writeImages(i, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s  %.1f MB\n", path, float64(size)/1e6)
		for _, kind := range image.Kinds() {
			fmt.Fprintf(c.OutOrStdout(), "  %s\n", i.Tag(kind))
		}
	}
	if !f.layout {
		return nil
	}
	dir := filepath.Join(f.out, "oci")
	if err := os.RemoveAll(dir); err != nil { // what is in it would stay
		return err
	}
	if err := image.Layout(dir, all, "latest"); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n", dir)
	return nil
}

// writeImages writes the images of a program into a file, with the tag latest as well, and returns its size.
func writeImages(i *image.Images, path string) (size int64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	names := map[string]string{}
	for _, kind := range image.Kinds() {
		names[i.Tag(kind)] = kind
		names["p2pfaas/"+kind+":latest"] = kind
	}
	if err := i.Write(file, names); err != nil {
		return 0, err
	}
	return file.Seek(0, io.SeekCurrent)
}
