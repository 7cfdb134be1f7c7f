package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// The keys are what others read: a field that is renamed breaks them.
func TestJSON(t *testing.T) {
	c := &Comparison{A: Side{Name: "real", Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, Margins: []Margin{{Metric: "latency.p95", Value: 0.05, Relative: true}},
		Points: []Point{{Label: "JSQ", Values: []string{"8/s"}, Metrics: []Metric{{Name: "latency.mean", Lo: math.NaN(), Hi: math.Inf(1), Verdict: Undecided}},
			Parts: []Part{{Name: "client"}}, Distances: []Distance{{Name: "Wasserstein"}}, Decisions: &Decisions{}, Nodes: []Node{{}},
			Quantiles: []Quantile{{0.5, 1, 2}}, Load: &Load{Every: time.Second, Nodes: []NodeLoad{{A: []float64{1, math.NaN()}}}},
			Causes: []Cause{{Component: "link", Explains: []Explained{{}}}}}},
		Floor: &Comparison{Points: []Point{{}}}, Replays: []Replay{{}}, Sensitivity: []Sensitivity{{}}, Calibration: &Provenance{}}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if value, err := json.Marshal(*c); err != nil || string(value) != string(data) {
		t.Errorf("a value is not written as its pointer is: %v", err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for path, keys := range map[string]string{
		"":                       "a b calibration floor margins notes points replays sensitivity unmatched",
		"a":                      "algorithms dir host name seed started version world",
		"margins":                "default metric relative value",
		"points":                 "block causes common decisions distances label load metrics nodes notes paired parts quantiles replications requests_a requests_b scheduler values",
		"points.metrics":         "a b difference hi lo margin name unit verdict",
		"points.parts":           "a b difference hi lo name",
		"points.distances":       "chance hi lo name value",
		"points.decisions":       "executor hops outcome",
		"points.nodes":           "executed_a executed_b id utilisation_a utilisation_b",
		"points.quantiles":       "a b share",
		"points.load":            "a b every_ns nodes",
		"points.load.nodes":      "a b id",
		"points.causes":          "a absolute b component direct explains function hi lo nodes part says unit",
		"points.causes.explains": "after before metric",
		"replays":                "equal inputs log node says verdicts",
		"sensitivity":            "change effect metric parameter point",
		"calibration":            "at file host notes requests seed target",
		"floor.points":           "block causes common decisions distances label load metrics nodes notes paired parts quantiles replications requests_a requests_b scheduler values",
	} {
		var at any = m
		for _, step := range strings.Split(path, ".") {
			if step == "" {
				continue
			}
			at = at.(map[string]any)[step]
			if list, ok := at.([]any); ok {
				at = list[0]
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(at.(map[string]any))), " "); got != keys {
			t.Errorf("%q has the keys %q, want %q", path, got, keys)
		}
	}
	point := m["points"].([]any)[0].(map[string]any)
	metric := point["metrics"].([]any)[0].(map[string]any)
	if metric["lo"] != nil || metric["hi"] != nil || metric["verdict"] != "undecided" || metric["a"] != 0.0 {
		t.Errorf("a metric without an interval is %v", metric)
	}
	if load := point["load"].(map[string]any); load["every_ns"] != 1e9 || fmt.Sprint(load["nodes"]) != "[map[a:[1 <nil>] b:[] id:0]]" {
		t.Errorf("load is %v", load)
	}
	if m["a"].(map[string]any)["started"] != "2030-01-02T03:04:05Z" || m["floor"].(map[string]any)["floor"] != nil {
		t.Errorf("%s", data)
	}
}
