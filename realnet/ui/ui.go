// Package ui is the page that shows a cluster: files of HTML, CSS and JavaScript that need nothing from elsewhere. A node serves
// them beside what its Feed tells (package watch), p2pfaas play beside what a run has recorded (package play). The page asks for:
//
//	source         what this is: a live cluster, or a run with its time line
//	events         of a live cluster: server-sent events, a watch.Cluster each
//	cluster        a watch.Cluster; of a run with ?at=SECONDS
//	requests       requests that have ended, of all nodes: ?request=ID, or the last ones
//	schedulers     the algorithms that there are, with their parameters
//	configuration  a change of the nodes, by POST
package ui

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var embedded embed.FS

// kinds of files, whatever the machine thinks of their names.
var kinds = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml"}

// policy lets the page have its own files and its own server, and nothing else: no script that stands in the page, no other host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'"

// Root is where the page is.
const Root = "/ui/"

// Paths are those of the page and of its files.
func Paths() []string {
	paths := []string{Root}
	entries, err := fs.ReadDir(embedded, "page")
	if err != nil {
		panic(fmt.Sprintf("ui: the page is not embedded: %v", err))
	}
	for _, e := range entries {
		if e.Name() != "index.html" {
			paths = append(paths, Root+e.Name())
		}
	}
	return paths
}

// Serve serves the files at their Paths.
func Serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Root)
	if name == "" {
		name = "index.html"
	}
	text, err := fs.ReadFile(embedded, "page/"+name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kinds[path.Ext(name)])
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(text) // where it fails, the reader has gone
}
