package realnet

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// gateway is an OpenFaaS with a function f, which gets its replicas at the second look.
func gateway(t *testing.T) *OpenFaaS {
	t.Helper()
	var asked, wanted atomic.Int64
	wanted.Store(1)
	m := http.NewServeMux()
	m.HandleFunc("/function/f", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RawQuery, text)
	})
	m.HandleFunc("GET /system/functions", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[{"name":"f"}]`) })
	change := func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if strings.Contains(string(text), "broken") || r.Header.Get("Content-Type") != wire.ContentTypeJSON {
			http.Error(w, "no such image", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s", r.Method, text)
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		m.HandleFunc(method+" /system/functions", change)
	}
	m.HandleFunc("GET /system/function/f", func(w http.ResponseWriter, r *http.Request) {
		available := wanted.Load()
		if asked.Add(1) == 2 {
			available--
		}
		fmt.Fprintf(w, `{"name":"f","availableReplicas":%d}`, available)
	})
	m.HandleFunc("POST /system/scale-function/f", func(w http.ResponseWriter, r *http.Request) {
		var scale struct {
			ServiceName string
			Replicas    int64
		}
		if json.NewDecoder(r.Body).Decode(&scale) != nil || scale.ServiceName != "f" {
			http.Error(w, "nonsense", http.StatusBadRequest)
			return
		}
		wanted.Store(scale.Replicas)
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "admin" || password != "secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return &OpenFaaS{URL: s.URL + "/", User: "admin", Password: "secret"}
}

// Functions of OpenFaaS, and v1's routes to it (wire page, sections 1.2, 1.5, 1.7, 1.10).
func TestOpenFaaS(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	o := gateway(t)
	with := openNodes(t, 1, NodeOptions{Backend: Backend{OpenFaaS: o, Functions: map[string]Function{"own": {URL: elsewhere.URL}}}})
	without := openNodes(t, 1, NodeOptions{})
	down := openNodes(t, 1, NodeOptions{Backend: Backend{OpenFaaS: &OpenFaaS{URL: "http://127.0.0.1:1"}}})
	stranger := openNodes(t, 1, NodeOptions{Backend: Backend{OpenFaaS: &OpenFaaS{URL: o.URL}}})
	for _, x := range []struct {
		c                  *nodes
		method, path, body string
		status             int
		says               string
	}{
		{with, "POST", "/function/f?a=b", "hello", 200, "POST a=b hello"},
		{with, "GET", "/function/g", "", 404, "404"},
		{with, "GET", "/function/own", "", 200, `"Basic client"`},
		{stranger, "GET", "/function/f", "", 401, "who are you?"},
		{down, "GET", "/function/f", "", 500, `"code":1,`},

		{with, "GET", "/system/functions", "", 200, `[{"name":"f"}]`},
		{with, "POST", "/system/functions", `{"service":"f","image":"x"}`, 200, `POST {"service":"f","image":"x"}`},
		{with, "POST", "/system/functions", `{"service":"f","image":"broken"}`, 500, `"code":200,`},
		{with, "POST", "/system/functions", `{"service":"../f"}`, 400, `"code":100,`},
		{with, "POST", "/system/functions", `{"image":"x"}`, 400, `"code":100,`},
		{with, "POST", "/system/functions", `{`, 400, `"code":4,`},
		{with, "POST", "/system/functions", `null`, 400, `"code":4,`},
		{with, "PUT", "/system/functions", `{"service":"f"}`, 200, ""},
		{with, "DELETE", "/system/functions", `{"functionName":"broken"}`, 500, `"code":300,`},
		{with, "GET", "/system/function/g", "", 404, `"code":3,`},
		{with, "GET", "/system/function/a:b", "", 400, `"code":100,`},
		{with, "GET", "/monitoring/scale-delay/f", "", 200, `"attempts":2,`},
		{with, "GET", "/monitoring/scale-delay/g", "", 404, `"code":3,`},
		{with, "GET", "/system/function/f", "", 200, `{"name":"f","availableReplicas":2}`},
		{with, "POST", "/system/scale-function/f", `{"service":"f","replicas":5}`, 200, ""},
		{with, "GET", "/system/function/f", "", 200, `{"name":"f","availableReplicas":5}`},
		{with, "POST", "/system/scale-function/f", `{"service":"f"}`, 400, `"code":4,`},
		{with, "POST", "/system/scale-function/f", `{"replicas":-1}`, 400, `"code":4,`},
		{with, "DELETE", "/system/function/f", "", 405, ""},

		{stranger, "GET", "/system/functions", "", 500, `"code":300,`},
		{down, "GET", "/system/functions", "", 500, `"code":5,`},
		{without, "GET", "/system/functions", "", 500, `"code":5,"message":"Could not contact OpenFaaS backend`},
		{without, "POST", "/system/functions", `{"service":"f"}`, 500, `"code":5,`},
		{without, "PUT", "/system/functions", "", 200, ""},
		{without, "DELETE", "/system/functions", "", 200, ""},
		{without, "GET", "/system/function/f", "", 500, `"code":5,`},
		{without, "POST", "/system/scale-function/f", `{"service":"f","replicas":2}`, 500, `"code":5,`},
		{without, "GET", "/monitoring/scale-delay/f", "", 500, `"code":5,`},
	} {
		r := x.c.ask(0, x.method, x.path, x.body, "Authorization", "Basic client")
		if r.status != x.status || !strings.Contains(r.body, x.says) || x.says == "" && r.body != "" {
			t.Errorf("%s %s %s: %d %q, want %d with %q", x.method, x.path, x.body, r.status, r.body, x.status, x.says)
		}
	}
}

func TestOpenFaaSSecrets(t *testing.T) {
	dir := t.TempDir()
	if _, _, ok, err := OpenFaaSSecrets(dir); ok || err != nil {
		t.Errorf("where there are none: %v, %v", ok, err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("basic-auth-user", "admin\n")
	if _, _, ok, err := OpenFaaSSecrets(dir); ok || err == nil || !strings.Contains(err.Error(), "basic-auth-password") {
		t.Errorf("where the password is missing: %v, %v", ok, err)
	}
	write("basic-auth-password", "secret\n")
	if user, password, ok, err := OpenFaaSSecrets(dir); user != "admin" || password != "secret" || !ok || err != nil {
		t.Errorf("%q, %q, %v, %v", user, password, ok, err)
	}
}
