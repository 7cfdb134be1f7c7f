package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Functions that OpenFaaS runs, and v1's routes to it.

// OpenFaaS is the gateway of an OpenFaaS.
type OpenFaaS struct {
	URL            string // http://HOST:PORT
	User, Password string // no User: it asks for none
}

// OpenFaaSSecrets reads user and password from the files where OpenFaaS keeps them. Where there are none, ok is false.
func OpenFaaSSecrets(dir string) (user, password string, ok bool, err error) {
	read := func(name string) (string, error) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(text)), err
	}
	user, err1 := read("basic-auth-user")
	password, err2 := read("basic-auth-password")
	if errors.Is(err1, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist) {
		return "", "", false, nil
	}
	if err := errors.Join(err1, err2); err != nil {
		return "", "", false, fmt.Errorf("reading the secrets of OpenFaaS: %w", err)
	}
	return user, password, true, nil
}

func (o *OpenFaaS) url(path string) string { return strings.TrimRight(o.URL, "/") + path }

// authenticate puts the node's credentials in place of any that a client may have sent.
func (o *OpenFaaS) authenticate(r *http.Request) {
	r.Header.Del("Authorization")
	if o.User != "" {
		r.SetBasicAuth(o.User, o.Password)
	}
}

const (
	gatewayPatience = time.Minute     // for an answer of the gateway, functions apart
	scalePatience   = 2 * time.Minute // for a replica more
	scalePoll       = 100 * time.Millisecond
	gatewayAnswer   = 16 << 20 // bytes
)

// openFaaSRoutes are there without OpenFaaS, too: what asks for it is told that there is none.
func (n *Node) openFaaSRoutes(s *routes) {
	s.handle(toConfigure, http.MethodGet, "/monitoring/scale-delay/:function", n.scaleDelay) // it scales
	s.handle(toWatch, http.MethodGet, "/system/functions", n.listFunctions)
	s.handle(toConfigure, http.MethodPost, "/system/functions", n.deployFunction)
	s.handle(toConfigure, http.MethodPut, "/system/functions", n.changeFunction)
	s.handle(toConfigure, http.MethodDelete, "/system/functions", n.changeFunction)
	s.handle(toWatch, http.MethodGet, "/system/function/:function", n.describeFunction)
	s.handle(toConfigure, http.MethodPost, "/system/scale-function/:function", n.scaleFunction)
}

// gateway asks OpenFaaS. Where it does not answer with a success, that is a failure with the given code.
func (n *Node) gateway(ctx context.Context, method, path string, content []byte, code int) ([]byte, *wire.Failure) {
	o := n.options.Backend.OpenFaaS
	if o == nil {
		return nil, wire.NewV1Failure(wire.CodeUnreachable, "this node has none")
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, o.url(path), bytes.NewReader(content))
	if err != nil {
		return nil, wire.NewV1Failure(wire.CodeUnreachable, "%v", err)
	}
	if len(content) > 0 {
		r.Header.Set("Content-Type", wire.ContentTypeJSON)
	}
	o.authenticate(r)
	answer, err := n.options.Backend.http.Do(r)
	if err != nil {
		return nil, wire.NewV1Failure(wire.CodeUnreachable, "%v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, gatewayAnswer+1))
	switch {
	case err != nil:
		return nil, wire.NewV1Failure(wire.CodeUnreachable, "its answer breaks off: %v", err)
	case len(text) > gatewayAnswer:
		return nil, wire.NewV1Failure(wire.CodeOpenFaaS, "its answer is longer than %d bytes", gatewayAnswer)
	case answer.StatusCode == http.StatusNotFound:
		return nil, wire.NewV1Failure(wire.CodeNotFound, "OpenFaaS answers %.300q", text)
	case answer.StatusCode >= 300:
		return nil, wire.NewV1Failure(code, "OpenFaaS answers %s: %.300q", answer.Status, text)
	}
	return text, nil
}

func (n *Node) listFunctions(c *gin.Context) {
	text, f := n.gateway(c.Request.Context(), http.MethodGet, "/system/functions", nil, wire.CodeOpenFaaS)
	passOn(c, text, f)
}

// passOn answers with what OpenFaaS has said.
func passOn(c *gin.Context, text []byte, f *wire.Failure) {
	if f != nil {
		answerFailure(c, f)
		return
	}
	c.Data(http.StatusOK, wire.ContentTypeJSON, text)
}

// jsonBody reads the body of a request, which is a JSON object.
func jsonBody(c *gin.Context) (text []byte, object map[string]any, f *wire.Failure) {
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration))
	if err == nil {
		err = json.Unmarshal(text, &object)
	}
	if err == nil && object == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		f = wire.NewV1Failure(wire.CodeInput, "%v", err)
	}
	return text, object, f
}

func (n *Node) deployFunction(c *gin.Context) {
	text, object, f := jsonBody(c)
	if name, _ := object["service"].(string); f == nil && !validFunction(name) {
		f = wire.NewV1Failure(wire.CodeService, "its name is missing, or none of a function")
	}
	if f == nil {
		text, f = n.gateway(c.Request.Context(), http.MethodPost, "/system/functions", text, wire.CodeDeploy)
	}
	passOn(c, text, f)
}

// changeFunction updates or deletes a function. In v1 both do nothing and succeed: so they do without OpenFaaS.
func (n *Node) changeFunction(c *gin.Context) {
	if n.options.Backend.OpenFaaS != nil {
		text, _, f := jsonBody(c)
		if f == nil {
			_, f = n.gateway(c.Request.Context(), c.Request.Method, "/system/functions", text, wire.CodeOpenFaaS)
		}
		if f != nil {
			answerFailure(c, f)
			return
		}
	}
	c.Status(http.StatusOK)
}

// functionName is that of the route.
func functionName(c *gin.Context) (string, *wire.Failure) {
	name := c.Param("function")
	if !validFunction(name) {
		return "", wire.NewV1Failure(wire.CodeService, "%.80q can be no name of a function", name)
	}
	return name, nil
}

func (n *Node) describeFunction(c *gin.Context) {
	name, f := functionName(c)
	var text []byte
	if f == nil {
		text, f = n.gateway(c.Request.Context(), http.MethodGet, "/system/function/"+name, nil, wire.CodeOpenFaaS)
	}
	passOn(c, text, f)
}

func (n *Node) scaleFunction(c *gin.Context) {
	name, f := functionName(c)
	var text []byte
	if f == nil {
		text, _, f = jsonBody(c)
	}
	var wanted struct {
		Replicas *int `json:"replicas"`
	}
	if f == nil && (json.Unmarshal(text, &wanted) != nil || wanted.Replicas == nil || *wanted.Replicas < 0) {
		f = wire.NewV1Failure(wire.CodeInput, `write {"service":"%s","replicas":N}`, name)
	}
	if f == nil {
		text, f = n.scale(c.Request.Context(), name, *wanted.Replicas)
	}
	passOn(c, text, f)
}

// scale asks for so many replicas of a function.
func (n *Node) scale(ctx context.Context, name string, replicas int) ([]byte, *wire.Failure) {
	content := fmt.Appendf(nil, `{"serviceName":%q,"replicas":%d}`, name, replicas)
	return n.gateway(ctx, http.MethodPost, "/system/scale-function/"+name, content, wire.CodeOpenFaaS)
}

// available is how many replicas of a function are ready.
func (n *Node) available(ctx context.Context, name string) (int, *wire.Failure) {
	text, f := n.gateway(ctx, http.MethodGet, "/system/function/"+name, nil, wire.CodeOpenFaaS)
	if f != nil {
		return 0, f
	}
	var status struct {
		Available *int `json:"availableReplicas"`
	}
	if err := json.Unmarshal(text, &status); err != nil || status.Available == nil {
		return 0, wire.NewV1Failure(wire.CodeOpenFaaS, "of function %s it says %.300q", name, text)
	}
	return *status.Available, nil
}

// scaleDelay measures how long it takes until a function has one replica more, which it keeps.
func (n *Node) scaleDelay(c *gin.Context) {
	name, f := functionName(c)
	if f != nil {
		answerFailure(c, f)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), scalePatience)
	defer cancel()
	before, f := n.available(ctx, name)
	began := time.Now()
	if f == nil {
		_, f = n.scale(ctx, name, before+1)
	}
	poll := time.NewTicker(scalePoll)
	defer poll.Stop()
	for attempts := 1; f == nil; attempts++ {
		select {
		case <-poll.C:
		case <-ctx.Done():
			answerFailure(c, wire.NewV1Failure(wire.CodeOpenFaaS, "function %s has no replica more within %v", name, scalePatience))
			return
		}
		var now int
		if now, f = n.available(ctx, name); f == nil && now > before {
			c.JSON(http.StatusOK, gin.H{"approximate_delay": time.Since(began).Seconds(),
				"error_margin": scalePoll.Milliseconds(), "attempts": attempts})
			return
		}
	}
	answerFailure(c, f)
}
