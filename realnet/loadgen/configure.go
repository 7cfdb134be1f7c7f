package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Configure gives running nodes the slots, the queue and the scheduler of a scenario, through v1's routes; their learners
// begin anew, with the random numbers of a replication. known are the addresses by which the nodes know each other, by
// number. What v1's nodes do not know (parameters by name, the replication) they ignore.
func Configure(ctx context.Context, s *scenarios.Scenario, replication int, targets []Target, known []string, credentials *realnet.Credentials) error {
	problems := make([]error, len(targets))
	var asking sync.WaitGroup
	client := credentials.Client(&http.Transport{})
	client.Timeout = 10 * time.Second
	defer client.CloseIdleConnections()
	for i, t := range targets {
		g := s.Cluster.GroupOf(core.NodeID(i))
		asking.Go(func() {
			algorithm, err := json.Marshal(realnet.DescriptorOf(s.Scheduler.Spec, s.Scheduler.Forwarding, known))
			if err == nil {
				err = realnet.SendChange(ctx, client, t.Scheduler, realnet.Change{Slots: &g.Slots, Room: &g.Queue, Scheduler: algorithm})
			}
			if err == nil && t.Learner != "" && s.Learner.Asks() && s.Learner.External == nil {
				err = get(ctx, client, fmt.Sprintf("%s/learner/reset?replication=%d", t.Learner, replication))
			}
			if err != nil {
				problems[i] = fmt.Errorf("configuring node %d: %w", i, err)
			}
		})
	}
	asking.Wait()
	return errors.Join(problems...)
}

func get(ctx context.Context, client *http.Client, url string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return realnet.ExpectOK(client, q)
}
