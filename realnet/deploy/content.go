package deploy

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// What is in files and directories, so that what has not changed is not made anew.

// ContentOf identifies files by their paths and what is in them.
func ContentOf(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// FileHash identifies what is in a file.
func FileHash(path string) (string, error) {
	h := sha256.New()
	err := hashFile(h, path)
	return hex.EncodeToString(h.Sum(nil)[:6]), err
}

// contentOf identifies what is in a file or a directory.
func contentOf(path string) (hash string, dir bool, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", false, err
	}
	if st.IsDir() {
		if _, err := os.Stat(filepath.Join(path, "Dockerfile")); err != nil {
			return "", true, fmt.Errorf("%s has no Dockerfile", path)
		}
		hash, err = treeHash(path)
		return hash, true, err
	}
	hash, err = FileHash(path)
	return hash, false, err
}

// treeHash identifies what is in a directory: files, and links, which an engine gets as they are.
func treeHash(dir string) (string, error) {
	h := sha256.New()
	err := hashTree(h, dir)
	return hex.EncodeToString(h.Sum(nil)[:6]), err
}

func hashTree(h io.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		link := d.Type() == fs.ModeSymlink
		if !link && !d.Type().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if link {
			to, err := os.Readlink(path)
			fmt.Fprintf(h, "%s -> %q\n", filepath.ToSlash(name), to)
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %o %d\n", filepath.ToSlash(name), st.Mode().Perm(), st.Size())
		return hashFile(h, path)
	})
}

func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// tagOf is the tag of the image in a tar that docker save wrote; it must have exactly one image.
func tagOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s is no image: it has no manifest.json; make it with docker save", path)
		}
		if err != nil {
			return "", fmt.Errorf("%s is no tar of an image, as docker save writes it: %w", path, err)
		}
		if h.Name != "manifest.json" {
			continue
		}
		var images []struct{ RepoTags []string }
		if err := json.NewDecoder(t).Decode(&images); err != nil {
			return "", fmt.Errorf("%s: its manifest.json is none: %w", path, err)
		}
		if len(images) != 1 || len(images[0].RepoTags) == 0 {
			return "", fmt.Errorf("%s has %d images, and one with a tag is wanted: save it with docker save NAME:TAG", path, len(images))
		}
		return slices.Min(images[0].RepoTags), nil
	}
}
