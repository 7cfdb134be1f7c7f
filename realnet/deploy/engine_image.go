package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	archive "github.com/moby/go-archive"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher/ignorefile"
)

// Has reports whether the engine has an image.
func (e *Engine) Has(ctx context.Context, tag string) (bool, error) {
	_, err := e.client.ImageInspect(ctx, tag)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, e.wrong("looking for the image "+tag, err)
}

// Load loads those of some images that the engine does not have, and returns their tags. They are opened together, in the format of
// docker save, so that what they share travels once.
func (e *Engine) Load(ctx context.Context, tags []string, open func(missing []string) (io.ReadCloser, error)) (missing []string, err error) {
	for _, tag := range tags {
		has, err := e.Has(ctx, tag)
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, tag)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	what := "loading " + strings.Join(missing, ", ")
	content, err := open(missing)
	if err != nil {
		return nil, e.wrong(what, err)
	}
	defer content.Close() // it was read
	answer, err := e.client.ImageLoad(ctx, content)
	if err != nil {
		return nil, e.wrong(what, err)
	}
	defer answer.Close()
	if said, err := follow(answer); err != nil {
		return nil, e.wrong(what, err)
	} else if has, err := e.Has(ctx, missing[0]); !has && err == nil {
		return nil, e.wrong(what, fmt.Errorf("the engine has read something else: is it a file of docker save? It says: %s", said))
	}
	for _, tag := range missing {
		if err := e.fits(ctx, tag); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// LoadAs loads the image that has the tag loads in a file of docker save, and gives it another tag, where the engine does not have that. It
// reports whether it did.
func (e *Engine) LoadAs(ctx context.Context, tag, loads string, open func() (io.ReadCloser, error)) (bool, error) {
	if has, err := e.Has(ctx, tag); has || err != nil {
		return false, err
	}
	what := "loading " + loads
	content, err := open()
	if err != nil {
		return false, e.wrong(what, err)
	}
	defer content.Close() // it was read
	answer, err := e.client.ImageLoad(ctx, content)
	if err != nil {
		return false, e.wrong(what, err)
	}
	defer answer.Close()
	if _, err := follow(answer); err != nil {
		return false, e.wrong(what, err)
	}
	if _, err := e.client.ImageTag(ctx, client.ImageTagOptions{Source: loads, Target: tag}); err != nil {
		return false, e.wrong(what, err)
	}
	return true, e.fits(ctx, tag)
}

// fits complains about an image of another architecture.
func (e *Engine) fits(ctx context.Context, tag string) error {
	i, err := e.client.ImageInspect(ctx, tag)
	if err != nil {
		return e.wrong("looking at the image "+tag, err)
	}
	if platform := path.Join(i.Os, i.Architecture); !strings.HasPrefix(e.Platform+"/", platform+"/") {
		return e.wrong("the image "+tag, fmt.Errorf("it is of the architecture %s, and the machine's is %s: build one for it", platform, e.Platform))
	}
	return nil
}

// Pull gets an image from the registry of its name, where the engine does not have it, and reports whether it did.
func (e *Engine) Pull(ctx context.Context, tag string) (bool, error) {
	if has, err := e.Has(ctx, tag); has || err != nil {
		return false, err
	}
	answer, err := e.client.ImagePull(ctx, tag, client.ImagePullOptions{})
	if err == nil {
		err = answer.Wait(ctx)
	}
	if err != nil {
		return false, e.wrong("pulling the image "+tag, fmt.Errorf("%w: load it there, or give its file (docker save) or its directory", err))
	}
	return true, e.fits(ctx, tag)
}

// buildOutput is how many lines are shown of what a failing engine said.
const buildOutput = 20

// Build lets the engine build an image from a directory with a Dockerfile, but for what .dockerignore names, where the engine
// does not have its tag, and reports whether it did.
func (e *Engine) Build(ctx context.Context, tag, dir string) (bool, error) {
	if has, err := e.Has(ctx, tag); has || err != nil {
		return false, err
	}
	what := fmt.Sprintf("building the image %s from %s", tag, dir)
	if _, err := os.Stat(filepath.Join(dir, "Dockerfile")); err != nil {
		return false, e.wrong(what, fmt.Errorf("there must be a Dockerfile: %w", err))
	}
	var ignored []string
	list, err := os.Open(filepath.Join(dir, ".dockerignore"))
	if err == nil {
		ignored, err = ignorefile.ReadAll(list)
		err = errors.Join(err, list.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, e.wrong(what, err)
	}
	if len(ignored) > 0 { // the engine needs these in any case
		ignored = append(ignored, "!Dockerfile", "!.dockerignore")
	}
	content, err := archive.TarWithOptions(dir, &archive.TarOptions{ExcludePatterns: ignored, ChownOpts: &archive.ChownOpts{}})
	if err != nil {
		return false, e.wrong(what, err)
	}
	defer content.Close() // it was read
	answer, err := e.client.ImageBuild(ctx, content, client.ImageBuildOptions{Tags: []string{tag}, Version: build.BuilderV1, Remove: true,
		ForceRemove: true})
	if err != nil {
		return false, e.wrong(what, err)
	}
	defer answer.Body.Close()
	if said, err := follow(answer.Body); err != nil {
		return false, e.wrong(what, fmt.Errorf("%w; the end of what it said:\n%s", err, said))
	}
	return true, nil
}

// follow reads what an engine says of its work, and returns the last lines, and the error that it says.
func follow(r io.Reader) (last string, err error) {
	said := ""
	for d := json.NewDecoder(r); ; {
		var m jsonstream.Message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return ending(said, buildOutput), nil
		} else if err != nil {
			return ending(said, buildOutput), fmt.Errorf("the engine has not finished: %w", err)
		}
		if m.Error != nil {
			return ending(said, buildOutput), errors.New(m.Error.Message)
		}
		said += m.Stream
	}
}

func ending(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
