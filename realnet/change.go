package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Change is what can be changed of a running node; nil: it stays as it is.
type Change struct {
	Slots     *int            // K
	Room      *int            // Q; 0 closes the waiting room
	Scheduler json.RawMessage // as /configuration/scheduler takes it
}

// SendChange changes the node whose scheduler service is at address, IP:PORT.
func SendChange(ctx context.Context, client *http.Client, address string, c Change) error {
	base := "http://" + address
	var problems []error
	if c.Slots != nil || c.Room != nil {
		body := map[string]any{}
		if c.Slots != nil {
			body["parallel_running_functions_max"] = *c.Slots
		}
		if c.Room != nil {
			body["queue_length_max"], body["queue_enabled"] = *c.Room, *c.Room > 0
		}
		problems = append(problems, postJSON(ctx, client, base+"/configuration", body))
	}
	if c.Scheduler != nil {
		problems = append(problems, postJSON(ctx, client, base+"/configuration/scheduler", c.Scheduler))
	}
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
	q.Header.Set("Content-Type", wire.ContentTypeJSON)
	return ExpectOK(client, q)
}

// ExpectOK sends a request, whose answer is to have status 200.
func ExpectOK(client *http.Client, q *http.Request) error {
	a, err := client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err == nil && a.StatusCode != http.StatusOK {
		err = wire.Unexpected(q.URL.String(), a, text)
	}
	return err
}
