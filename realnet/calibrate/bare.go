package calibrate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// bare measures timers, and the network without services.
func (m *measurement) bare(ctx context.Context, c *scenarios.Calibration) error {
	m.drawn++
	r := rand.New(random.Stream(m.Seed, m.drawn, random.Arrivals, 0))
	wait := func() time.Time {
		return time.Now().Add(time.Duration((0.5 + 2*random.Unit(r)) * float64(time.Millisecond)))
	}
	var late, trips []time.Duration
	for range leastSamples {
		until := wait()
		if err := m.clock.Sleep(ctx, until); err != nil {
			return err
		}
		late = append(late, time.Since(until))
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	for i := range leastSamples {
		if err := m.clock.Sleep(ctx, wait()); err != nil {
			return err
		}
		began := time.Now()
		conn, err := dialer.DialContext(ctx, "tcp", m.Cluster.Targets[i%len(m.Cluster.Targets)].Scheduler)
		if err != nil {
			return fmt.Errorf("measuring the network: %w", err)
		}
		trips = append(trips, time.Since(began))
		if err := conn.Close(); err != nil {
			return fmt.Errorf("measuring the network: %w", err)
		}
	}
	var err error
	if c.Timer, err = spreadOf("the lateness of timers", late); err != nil {
		return err
	}
	c.Link, err = spreadOf("the network", trips)
	return err
}
