package realnet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Nodes that share an address have no port in common, and the first has the standard ones.
func TestPlacesThatShareAnAddress(t *testing.T) {
	places, err := SharedPlaces("192.0.2.1", perAddress)
	if err != nil {
		t.Fatal(err)
	}
	if a := places[0].Address(); a != "192.0.2.1" {
		t.Errorf("the first is known as %s", a)
	}
	if a := places[1].Address(); a != "192.0.2.1:20010" {
		t.Errorf("the second is known as %s", a)
	}
	taken := map[int]bool{}
	for _, p := range places {
		for _, port := range []int{p.Scheduler, p.Discovery, p.Learner, p.Websocket} {
			if taken[port] || port >= 32_768 {
				t.Fatalf("the port %d is another's, or one that clients get", port)
			}
			taken[port] = true
		}
	}
	if _, err := SharedPlaces("192.0.2.1", perAddress+1); err == nil {
		t.Error("more nodes than there are ports for were accepted")
	}
}

// Who waits for a node is told what it lacks when the time is up, and otherwise why the wait has ended.
func TestAwaitPeersSaysWhy(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"peers": ["192.0.2.2"]}`))
	}))
	defer node.Close()
	address := strings.TrimPrefix(node.URL, "http://")
	await := func(ctx context.Context, peers int) error { return AwaitPeers(ctx, node.Client(), address, peers) }
	if err := await(t.Context(), 1); err != nil {
		t.Error(err)
	}
	for patience := 50 * time.Millisecond; ; patience *= 2 {
		late, cancel := context.WithTimeout(t.Context(), patience)
		err := await(late, 2)
		cancel()
		if err != nil && err.Error() == "it has not answered" && patience < time.Minute {
			continue // the machine is busy
		}
		if err == nil || err.Error() != "it knows 1 peers of 2" {
			t.Errorf("the time is up: %v", err)
		}
		break
	}
	gone := errors.New("its machine is gone")
	ended, end := context.WithCancelCause(t.Context())
	end(gone)
	if err := await(ended, 2); !errors.Is(err, gone) {
		t.Errorf("the wait was ended: %v", err)
	}
}
