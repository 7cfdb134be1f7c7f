package realnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Which functions there are: the names that a node knows, what it has itself, and how that changes while it runs.

// functionNames numbers the functions that a node knows by name: those of its scenario, its own, those that peers say they
// have.
type functionNames struct {
	mu      sync.RWMutex
	numbers map[string]core.FunctionID
	names   []string
	met     func(core.FunctionID, string) // takes each new number before it is used; nil: nobody does
}

const (
	// mostFunctions is how many named functions a node may have, and say that it has.
	mostFunctions = 1024
	// mostFunctionNames bounds the names that a node keeps; peers say most of them.
	mostFunctionNames = 1 << 15
	// unheardOf is the number of all functions that nobody has said to have: only who has any function has these.
	unheardOf core.FunctionID = math.MaxUint16 - 1
)

func newFunctionNames(first []string) *functionNames {
	f := &functionNames{numbers: map[string]core.FunctionID{}}
	for _, name := range first {
		f.number(name)
	}
	return f
}

// find returns the number of a function that is asked for.
func (f *functionNames) find(name string) core.FunctionID {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if id, known := f.numbers[name]; known {
		return id
	}
	return unheardOf
}

// number returns the number of a function that somebody has, a new one where there is none yet; unheardOf where there are as
// many as may be.
func (f *functionNames) number(name string) core.FunctionID {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, known := f.numbers[name]
	switch {
	case known:
		return id
	case len(f.names) >= mostFunctionNames:
		return unheardOf
	}
	id = core.FunctionID(len(f.names))
	f.numbers[name] = id
	f.names = append(f.names, name)
	if f.met != nil {
		f.met(id, name)
	}
	return id
}

// inventory is what a node has.
type inventory struct {
	any   bool
	names []string // sorted
}

func (v *inventory) equal(w *inventory) bool {
	return v.any == w.any && slices.Equal(v.names, w.names)
}

// input is what the node of core is told.
func (f *functionNames) input(id core.NodeID, v *inventory) core.Input {
	known := core.Inventory{Node: id, Any: v.any}
	for _, name := range v.names {
		if x := f.number(name); x != unheardOf {
			known.Functions = append(known.Functions, x)
		}
	}
	slices.Sort(known.Functions)
	return core.Input{Kind: core.InputConfigure, Functions: []core.Inventory{known}}
}

// deployments are the functions of a back end that have a place of their own, by name.
type deployments struct {
	mu     sync.Mutex
	byName map[string]*deployment
	ending sync.WaitGroup // processes whose function has been removed
}

// deployment is a function at its place.
type deployment struct {
	Function
	name     string
	instance *instance // nil: there is no process
	pool     *pool     // nil: no processes are started on demand
	since    time.Time
	ready    time.Duration // until it answered
	users    int           // executions that call it
	removed  bool
}

// take returns where a call of a function goes, until release; nil: where other functions are.
func (d *deployments) take(name string) *deployment {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.byName[name]
	if x == nil {
		x = d.byName["*"]
	}
	if x != nil {
		x.users++
	}
	return x
}

func (d *deployments) release(x *deployment) {
	if x == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	x.users--
	d.end(x)
}

// end ends the process of a function that has been removed, when nobody calls it any more. d.mu is held.
func (d *deployments) end(x *deployment) {
	if !x.removed || x.users > 0 {
		return
	}
	if i := x.instance; i != nil {
		x.instance = nil
		d.ending.Go(i.close)
	}
	if p := x.pool; p != nil {
		x.pool = nil
		d.ending.Go(p.close)
	}
}

// put puts a function at its place; nil: it has none any more. It returns the one before.
func (d *deployments) put(name string, x *deployment) (before *deployment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before = d.byName[name]
	if before != nil {
		before.removed = true
		d.end(before)
	}
	if x == nil {
		delete(d.byName, name)
	} else {
		d.byName[name] = x
	}
	return before
}

func (d *deployments) has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byName[name] != nil
}

// inventory is what a node with this back end has, but for one function.
func (b *Backend) inventory(without string) inventory {
	v := inventory{any: b.URL != "" || b.OpenFaaS != nil}
	b.deployed.mu.Lock()
	defer b.deployed.mu.Unlock()
	for name := range b.deployed.byName {
		switch name {
		case without:
		case "*":
			v.any = true
		default:
			v.names = append(v.names, name)
		}
	}
	slices.Sort(v.names)
	return v
}

// FunctionStatus is a function of a node.
type FunctionStatus struct {
	Name    string    `json:"name"`              // *: any that has no place of its own
	URL     string    `json:"url,omitempty"`     // where it is called
	Process []string  `json:"process,omitempty"` // or what the node runs for it
	Since   time.Time `json:"since"`             // by the wall clock of the node
	Ready   float64   `json:"ready_seconds"`     // how long it took until it answered; 0: nobody waited for that
}

// status are the functions of a node, by name, any other one last.
func (b *Backend) status(began time.Time) []FunctionStatus {
	b.deployed.mu.Lock()
	defer b.deployed.mu.Unlock()
	all := []FunctionStatus{}
	for _, name := range slices.Sorted(maps.Keys(b.deployed.byName)) {
		all = append(all, b.deployed.byName[name].status())
	}
	if i := slices.IndexFunc(all, func(s FunctionStatus) bool { return s.Name == "*" }); i >= 0 {
		return append(slices.Delete(slices.Clone(all), i, i+1), all[i])
	}
	where := b.URL
	if b.OpenFaaS != nil {
		where = b.OpenFaaS.url("/function/{function}")
	}
	if where != "" {
		all = append(all, FunctionStatus{Name: "*", URL: where, Since: began.UTC()})
	}
	return all
}

func (x *deployment) status() FunctionStatus {
	return FunctionStatus{Name: x.name, URL: x.URL, Process: x.Command, Since: x.since.UTC(), Ready: x.ready.Seconds()}
}

// Deploy gives the node a function that is served at a URL, or another place for one that it has. It waits until something
// answers there by HTTP, whatever it says, but not longer than Backend.Start; then the function is there, and the peers are
// told. Calls that are under way end where they began.
func (n *Node) Deploy(ctx context.Context, name, at string) (FunctionStatus, error) {
	b := &n.options.Backend
	switch err := CheckFunctionURL(at); {
	case !validFunction(name):
		return FunctionStatus{}, wire.NewV1Failure(wire.CodeService, "%.80q can be no name of a function", name)
	case err != nil:
		return FunctionStatus{}, wire.NewV1Failure(wire.CodeInput, "%v", err)
	}
	began := time.Now()
	if err := b.awaitAnswer(ctx, at); err != nil {
		return FunctionStatus{}, wire.NewV1Failure(wire.CodeDeploy, "function %s: %v", name, err)
	}
	ready := time.Since(began) // what it waits for now is another change, which is none of its business
	n.deploying.Lock()
	defer n.deploying.Unlock()
	if v := b.inventory(""); len(v.names) >= mostFunctions && !b.deployed.has(name) {
		return FunctionStatus{}, wire.NewV1Failure(wire.CodeDeploy, "the node has %d functions, and can have no more: remove one", len(v.names))
	}
	x := &deployment{Function: Function{URL: at}, name: name, since: time.Now(), ready: ready}
	b.deployed.put(name, x)
	n.announce(b.inventory(""))
	return x.status(), nil
}

// Remove takes a function from the node. When it returns, the peers have been told, what waited for the function has gone on to
// a node that has it or has been refused, and nothing new begins to execute here; what executes ends.
func (n *Node) Remove(name string) error {
	b := &n.options.Backend
	n.deploying.Lock()
	defer n.deploying.Unlock()
	if !b.deployed.has(name) {
		return wire.NewV1Failure(wire.CodeNotFound, "the node has no function %.80q of its own", name)
	}
	n.announce(b.inventory(name))
	n.mailbox.sync() // what was admitted before has begun
	b.deployed.put(name, nil)
	return nil
}

// announce tells the node itself and its peers what it has from now on.
func (n *Node) announce(v inventory) {
	n.mu.Lock()
	n.inventory = v
	n.mu.Unlock()
	n.mailbox.Post(n.functions.input(n.self(), &v))
	n.peers.announce()
}

// has is what the node has, as its peers were told last.
func (n *Node) has() inventory {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inventory
}

// CheckFunctionURL checks where somebody says that a function is. places are what may stand in it for a part that is filled in later,
// such as {function}.
func CheckFunctionURL(text string, places ...string) error {
	filled := text
	for _, p := range places {
		filled = strings.ReplaceAll(filled, p, "1")
	}
	u, err := url.Parse(filled)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%.200q is no URL of a function: write one like http://10.0.0.9:8080/", text)
	}
	return nil
}

// awaitAnswer waits until something serves HTTP at a URL, whatever it answers.
func (b *Backend) awaitAnswer(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, b.Start)
	defer cancel()
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	u.Path, u.RawQuery = "/healthz", ""
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return err
		}
		a, err := b.http.Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, maxConfiguration))
			a.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing answers at %s within %v: %w", at, b.Start, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The routes.

func (n *Node) getFunctions(c *gin.Context) {
	c.JSON(http.StatusOK, n.options.Backend.status(n.began))
}

// functionPlace is the body of a PUT: where the function is.
type functionPlace struct {
	URL string `json:"url"`
}

func (n *Node) putFunction(c *gin.Context) {
	var place functionPlace
	if err := strictJSON(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration), &place); err != nil {
		answerFailure(c, wire.NewV1Failure(wire.CodeInput, `write {"url": "http://..."}: %v`, err))
		return
	}
	s, err := n.Deploy(c.Request.Context(), c.Param("function"), place.URL)
	if err != nil {
		answerError(c, err)
		return
	}
	c.JSON(http.StatusOK, s)
}

func (n *Node) deleteFunction(c *gin.Context) {
	if err := n.Remove(c.Param("function")); err != nil {
		answerError(c, err)
		return
	}
	c.Status(http.StatusOK)
}

// answerError answers with what a Failure says, and with anything else as v1 does.
func answerError(c *gin.Context, err error) {
	var f *wire.Failure
	if !errors.As(err, &f) {
		f = wire.NewV1Failure(wire.CodeGeneric, "%v", err)
	}
	answerFailure(c, f)
}

// strictJSON reads one value, of which every key is known.
func strictJSON(from io.Reader, to any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, more := d.Token(); !errors.Is(more, io.EOF) { // More is false before a stray bracket
		return errors.New("something follows the JSON value")
	}
	return nil
}

// AskFunctions asks the node whose scheduler service is at address, IP:PORT, which functions it has.
func AskFunctions(ctx context.Context, client *http.Client, address string) ([]FunctionStatus, error) {
	var all []FunctionStatus
	return all, GetJSON(ctx, client, "http://"+address+"/functions", &all)
}

// DeployFunction has such a node take a function that is served at a URL (Node.Deploy).
func DeployFunction(ctx context.Context, client *http.Client, address, name, at string) (s FunctionStatus, err error) {
	body, err := json.Marshal(functionPlace{at})
	if err != nil {
		return s, err
	}
	text, err := changeFunction(ctx, client, http.MethodPut, address, name, body)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("it answers what is no JSON: %w", err)
	}
	return s, nil
}

// RemoveFunction has such a node give a function up (Node.Remove).
func RemoveFunction(ctx context.Context, client *http.Client, address, name string) error {
	_, err := changeFunction(ctx, client, http.MethodDelete, address, name, nil)
	return err
}

func changeFunction(ctx context.Context, client *http.Client, method, address, name string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+"/functions/"+url.PathEscape(name), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	a, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxConfiguration))
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		return nil, wire.Unexpected("it", a, text)
	}
	return text, nil
}
