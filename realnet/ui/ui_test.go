package ui

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The files of the page are served with what they are, under a policy that lets it have nothing from elsewhere; they contain
// nothing that the policy would forbid, nor a way from a text to markup.
func TestFiles(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|<script>|\bstyle="|\bon[a-z]+="|//[a-z]+\.[a-z]|@import`)
	kinds := map[string]int{}
	paths := Paths()
	for _, path := range paths {
		w := httptest.NewRecorder()
		Serve(w, httptest.NewRequest(http.MethodGet, path, nil))
		h := w.Header()
		kind := h.Get("Content-Type")
		kinds[kind]++
		if w.Code != http.StatusOK || kind == "" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") ||
			h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		for _, found := range forbidden.FindAllString(text, -1) {
			t.Errorf("%s has %q", path, found)
		}
	}
	if kinds["text/html; charset=utf-8"] != 1 || kinds["text/javascript; charset=utf-8"] < 5 || kinds["text/css; charset=utf-8"] != 1 || len(kinds) != 4 {
		t.Errorf("the kinds of files are %v", kinds)
	}
	if !slices.Contains(paths, "/ui/") || !slices.Contains(paths, "/ui/main.js") || slices.Contains(paths, "/ui/index.html") {
		t.Errorf("the page is at %v", paths)
	}
}

// Nothing else is served, however it is asked for.
func TestNoOtherFiles(t *testing.T) {
	for _, path := range []string{"/ui/nothing.js", "/ui/../ui.go", "/ui/%2e%2e/ui.go", "/ui/.", "/ui//main.js", "/ui/page/main.js"} {
		w := httptest.NewRecorder()
		Serve(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s is answered %d", path, w.Code)
		}
	}
}
