package loadgen_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/loadgen"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// Replications explore otherwise, as those of a simulation do.
func TestConfigureSaysTheReplication(t *testing.T) {
	s := scenariotest.One(t, "{duration: 10s, cluster: {nodes: 1}, functions: [{name: f, service: 1s}], "+
		"workload: {rate: 1/s}, scheduler: {name: LearningScheduler}, learner: {}}")
	var mu sync.Mutex
	var asked []string
	node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.RequestURI())
	}))
	defer node.Close()
	at := []loadgen.Target{{Scheduler: strings.TrimPrefix(node.URL, "http://"), Learner: node.URL}}
	if err := loadgen.Configure(t.Context(), s, 3, at, []string{"127.97.0.1"}, nil); err != nil {
		t.Fatal(err)
	}
	if last := asked[len(asked)-1]; last != "/learner/reset?replication=3" {
		t.Errorf("asked for %q", asked)
	}
}
