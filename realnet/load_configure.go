package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Configure gives running nodes the slots, the queue and the scheduler of a scenario, through v1's routes; their learners
// begin anew. known are the addresses by which the nodes know each other, by number. What v1's nodes do not know
// (parameters by name) they ignore.
func Configure(ctx context.Context, s *scenarios.Scenario, targets []Target, known []string) error {
	problems := make([]error, len(targets))
	var asking sync.WaitGroup
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i, t := range targets {
		g := s.Cluster.GroupOf(core.NodeID(i))
		base := "http://" + t.Scheduler
		asking.Go(func() {
			err := errors.Join(
				postJSON(ctx, client, base+"/configuration", settings{Slots: g.Slots, Room: g.Queue, Queue: g.Queue > 0}),
				postJSON(ctx, client, base+"/configuration/scheduler", descriptorOf(s.Scheduler.Spec, s.Scheduler.Forwarding, known)))
			if err == nil && t.Learner != "" {
				err = get(ctx, client, t.Learner+"/learner/reset")
			}
			if err != nil {
				problems[i] = fmt.Errorf("configuring node %d: %w", i, err)
			}
		})
	}
	asking.Wait()
	return errors.Join(problems...)
}

func postJSON(ctx context.Context, client *http.Client, url string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", contentTypeJSON)
	return expectOK(client, q)
}

func get(ctx context.Context, client *http.Client, url string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return expectOK(client, q)
}

func expectOK(client *http.Client, q *http.Request) error {
	a, err := client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.300s", q.URL, a.Status, text)
	}
	return err
}
