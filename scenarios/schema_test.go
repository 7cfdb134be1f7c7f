package scenarios

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

func resolvedSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asJSON is the YAML file as an editor's language server sees it.
func asJSON(t *testing.T, data []byte) (any, error) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	j, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(j, &v)
	return v, err
}

func TestTheSchemaAcceptsTheLibrary(t *testing.T) {
	schema := resolvedSchema(t)
	for _, name := range Library() {
		text, err := Source(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(name+".yaml", text, library)
		if err != nil {
			t.Fatal(err)
		}
		for kind, data := range map[string][]byte{"file": text, "resolved": f.Resolved()} {
			v, err := asJSON(t, data)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s (%s): %v", name, kind, err)
			}
		}
	}
}

// beyondSchema are the bad scenarios whose mistake needs more than the schema knows: other keys, data, the size of the
// cluster.
var beyondSchema = strings.Fields(`
	amplitude-above-mean azure-columns below-a-nanosecond calibration-changed
	calibration-directory calibration-missing calibration-of-other-nodes calibration-wrong changed-data cloud-less cores-without-sharing
	csv-with-a-word cyclic decimal-comma-untold disconnected disconnected-edges edge-to-nowhere empty-csv
	faults-targets faults-timeouts
	grid-does-not-fit grid-of-a-prime half-a-byte header-untold hex-count hosts-processor-sharing hosts-twice
	hosts-unknown huge-graph infinite-rate latency-twice
	learner-actions learner-exploration learner-external learner-formula learner-formula-missing learner-missing learner-reward-weights
	learner-tiles learner-traces learner-weights learner-weights-cut
	loss-without-timeout matrix-of-another-size max-below-min missing-file named-and-positional no-nodes no-rate
	nodes-and-groups odd-regular-graph one-hop-lost one-state points-out-of-order ragged-csv rate-and-curve rate-twice
	rates-of-groups repeated-edge replay-goes-back replay-of-another-cluster scv-below-one shares-do-not-sum
	some-shares sweep-bad-value sweep-below-a-value sweep-fraction sweep-of-the-name sweep-range-downwards
	sweep-range-units sweep-range-without-step sweep-repeated-value sweep-same-scheduler sweep-too-large
	sweep-unknown-function sweep-unknown-key sweep-unknown-parameter sweep-unknown-section swept-twice tag
	too-few-positional too-long too-many-nodes too-many-tasks
	two-documents two-functions-of-one-name two-groups-of-one-name
	unknown-column warmup-of-all warmup-too-long weights-and-values zip-of-unequal-lists`)

func TestTheSchemaRefusesWhatItCanKnow(t *testing.T) {
	schema := resolvedSchema(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var accepted []string
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := asJSON(t, data)
		if err == nil && schema.Validate(v) == nil {
			accepted = append(accepted, strings.TrimSuffix(filepath.Base(path), ".yaml"))
		}
	}
	for _, name := range accepted {
		if !slices.Contains(beyondSchema, name) {
			t.Errorf("the schema accepts %s", name)
		}
	}
	for _, name := range beyondSchema {
		if !slices.Contains(accepted, name) {
			t.Errorf("the schema refuses %s: take it off the list", name)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	used := map[string]bool{}
	var walk func(reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ == reflect.TypeFor[schedulerDoc]() {
			typ = reflect.TypeFor[schedulerKeys]()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || typ == reflect.TypeFor[portion]() {
			return
		}
		seen[typ] = true
		for _, f := range fieldsOf(typ) {
			if f.doc == "" {
				t.Errorf("docs has nothing on %s.%s", structName(typ), f.key)
			}
			owner := typ
			if len(f.index) > 1 {
				owner = typ.FieldByIndex(f.index[:1]).Type
			}
			used[structName(owner)+"."+f.key] = true
			walk(typ.FieldByIndex(f.index).Type)
		}
	}
	walk(reflect.TypeFor[document]())
	walk(reflect.TypeFor[rangeDoc]())
	for key := range docs {
		if !used[key] {
			t.Errorf("docs has %s, which is no key", key)
		}
	}
}

// No algorithm may have a parameter that is a key of all.
func TestCommonKeys(t *testing.T) {
	var keys []string
	for _, f := range fieldsOf(reflect.TypeFor[schedulerKeys]()) {
		keys = append(keys, f.key)
	}
	if !slices.Equal(keys, sched.CommonKeys) {
		t.Errorf("scenarios has %v, package sched knows %v", keys, sched.CommonKeys)
	}
}
