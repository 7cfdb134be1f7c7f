package realnet

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// text is an error of the discovery service: JSON that calls itself text.
var textAnswer = []string{"Content-Type", "text/plain.*"}

// The discovery service's routes, its configuration and its file (wire page, section 2).
func TestWireDiscovery(t *testing.T) {
	data := t.TempDir()
	open := func() *discoveryAt {
		return startDiscovery(t, listenAt(t, "127.41.1.1"), func(o *DiscoveryOptions) {
			o.Identity, o.Group, o.Data, o.PollTime, o.PollTimeout = Identity{}, "", data, 100*time.Millisecond, time.Minute
		})
	}
	d := open()
	url := d.server.URL
	file := func() string {
		text, err := os.ReadFile(filepath.Join(data, "p2p_faas-discovery.json"))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	t.Run("2.3 the file of the first start is empty", func(t *testing.T) {
		var kept map[string]any
		if err := json.Unmarshal([]byte(file()), &kept); err != nil || len(kept) != 4 || kept["machine_ip"] != "" || kept["machine_id"] != "" ||
			kept["machine_group_name"] != "" || len(kept["init_servers"].([]any)) != 0 {
			t.Errorf("%s, %v", file(), err)
		}
	})
	checkMethods(t, url, [][]string{{"/", "GET"}, {"/list", "GET"}, {"/configuration", "GET POST"}})
	configured := `\{"machine_ip":"127\.41\.1\.1","machine_id":"m1","machine_group_name":"cluster00","init_servers":\["127\.41\.1\.2"\]\}`
	unknown := []string{headerMachineIP, "", headerMachineName, "", headerMachineGroup, ""}
	known := []string{headerMachineIP, `127\.41\.1\.1`, headerMachineName, `127\.41\.1\.1`, headerMachineGroup, "cluster00"}
	checkAll(t, url, []exchange{
		{"2.1 GET /nowhere", "", nil, 404, ".*404.*", textAnswer},
		{"2.1 GET /list/: a slash more", "", nil, 404, ".*404.*", nil},
		{"2.1 GET /", "", nil, 200, `Welcome to the p2p-fog discovery service v0\.0\.4b!`, textAnswer},
		{"2.1 GET /configuration: there is none", "", nil, 500, errorBody(100, "Configuration not ready"), textAnswer},
		{"2.1 GET /list: there is nobody", "", nil, 200, `\[\]`, append(jsonAnswer, unknown...)},
		{"2.1 GET /reset", "", nil, 200, "", nil},
		{"2.1 POST /configuration: no JSON", `{`, nil, 500, errorBody(1, "Generic Error"), textAnswer},
		{"2.1 POST /configuration: a wrong type", `{"machine_ip":5}`, nil, 500, errorBody(1, "Generic Error"), textAnswer},
		{"2.1 POST /configuration: no address", `{"machine_ip":"host"}`, nil, 400, errorBody(4, "Passed input is not correct or malformed"), textAnswer},
		{"2.1 GET /configuration: there still is none", "", nil, 500, errorBody(100, "Configuration not ready"), nil},
		{"2.1 POST /configuration: as the script does", `{"machine_ip":"127.41.1.1","machine_id":"m0","machine_group_name":"cluster00","init_servers":["127.41.1.2"]}`, jsonHeader, 200, "", nil},
		{"2.1 POST /configuration: merged", `{"machine_id":"m1"}`, nil, 200, "", nil},
		{"2.1 GET /configuration", "", nil, 200, configured, jsonAnswer},
		{"2.2 GET /list: says who answers", "", nil, 200, `\[\]`, append(jsonAnswer, known...)},
	})
	t.Run("2.3 the file", func(t *testing.T) {
		want := "{\n  \"machine_ip\": \"127.41.1.1\",\n  \"machine_id\": \"m1\",\n  \"machine_group_name\": \"cluster00\",\n  \"init_servers\": [\n    \"127.41.1.2\"\n  ]\n}"
		if got := strings.TrimSpace(file()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	d.end()
	d = open()
	defer d.end()
	checkAll(t, url, []exchange{{"2.3 GET /configuration: kept", "", nil, 200, configured, nil}})

	// Who asks for the list in the name of a machine is in it; machines are ordered by name, this one is not among them.
	var mu sync.Mutex
	asked := map[string]http.Header{}
	for _, name := range []string{"127.41.1.4", "127.41.1.3"} {
		s := serveAt(listenAt(t, name), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[name] = r.Header
			mu.Unlock()
			w.Header().Set(headerMachineIP, name)
			w.Header().Set(headerMachineName, name)
			w.Header().Set(headerMachineGroup, "alive and well")
			_, _ = w.Write([]byte("[]"))
		}))
		defer s.Close()
	}
	checkAll(t, url, []exchange{
		{"2.2 GET /list: no machine", "", []string{headerMachineIP, "127.41.1.4"}, 200, `\[\]`, nil},
		{"2.2 GET /list: a machine without an address", "", []string{"User-Agent", "Machine"}, 200, `\[\]`, nil},
		{"2.2 GET /list: the machine itself", "", []string{"User-Agent", "Machine", headerMachineIP, "127.41.1.1"}, 200, `\[\]`, known},
		{"2.2 GET /list: a machine", "", []string{"User-Agent", "Machine", headerMachineIP, "127.41.1.4", headerMachineName, "127.41.1.4", headerMachineGroup, "g"}, 200, `\[.*\]`, known},
		{"2.2 GET /list: another one", "", []string{"User-Agent", "Machine", headerMachineIP, "127.41.1.3", headerMachineName, "127.41.1.3", headerMachineGroup, "g"}, 200, `\[.*\]`, known},
	})
	within(t, "both are listed", lists(d, "127.41.1.3", "127.41.1.4"))
	entry := func(ip string) string {
		return `\{"_id":\d+,"ip":"` + ip + `","name":"` + ip + `","group_name":"\\u0061live and well","ping":[0-9.e-]+,"last_update":\d{10,},"alive":true,"dead_polls":0\}`
	}
	checkAll(t, url, []exchange{{"2.1 GET /list: ordered by name", "", nil, 200,
		`\[` + entry(`127\.41\.1\.3`) + `,` + entry(`127\.41\.1\.4`) + `\]`, jsonAnswer}})
	t.Run("4.1 GET /list: alive is there once for each", func(t *testing.T) {
		_, text, _ := say(t, "GET", url+"/list", "")
		var list []struct {
			Ping   float64 `json:"ping"`
			Update int64   `json:"last_update"`
			Group  string  `json:"group_name"`
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil || strings.Count(text, "alive") != 2 || list[0].Ping <= 0 ||
			time.Since(time.Unix(list[0].Update, 0)).Abs() > time.Minute || list[0].Group != "alive and well" {
			t.Errorf("%s, %v", text, err)
		}
	})
	t.Run("2.2 what a polled machine is told", func(t *testing.T) {
		mu.Lock()
		defer mu.Unlock()
		h := asked["127.41.1.3"]
		if h.Get("User-Agent") != "Machine" || h.Get("p2pfaas-machine-ip") != "127.41.1.1" || h.Get("p2pfaas-machine-name") != "127.41.1.1" ||
			h.Get("p2pfaas-machine-group-name") != "cluster00" {
			t.Errorf("%v", h)
		}
	})
	checkAll(t, url, []exchange{
		{"2.1 GET /reset: with machines", "", nil, 200, "", nil},
		{"2.1 GET /list: after it", "", nil, 200, `\[\]`, nil},
		{"2.1 GET /configuration: after it", "", nil, 200, configured, nil},
	})
	// 2.5: an init server is found, and tells of others.
	gossip := startV1(t, "127.41.1.2", "127.41.1.3", "127.41.1.4", "127.41.1.1", "172.17.0.1")
	defer gossip.server.Close()
	checkAll(t, url, []exchange{{"2.1 POST /configuration: init servers", `{"init_servers":["127.41.1.2"]}`, nil, 200, "", nil}})
	within(t, "2.5 the machines of an init server's list are listed", lists(d, "127.41.1.2", "127.41.1.3", "127.41.1.4"))
	names := regexp.MustCompile(`"name":"([^"]*)"`).FindAllString(func() string { _, text, _ := say(t, "GET", url+"/list", ""); return text }(), -1)
	if !slices.IsSorted(names) || len(names) != 3 {
		t.Errorf("2.1 the list is in the order %v", names)
	}
}
