package ui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/play"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// The page in a real browser: make browser.

// nasty is what somebody on the network may call a node, or a request.
const nasty = `<img src=x onerror="window.hacked=1">`

const token = "0123456789abcdef0123456789abcdef"

// cluster is one of nodes in this process, under load.
type cluster struct {
	t         *testing.T
	addresses []string
	nodes     []*realnet.Node
	servers   []*httptest.Server
	feeds     []*watch.Feed
	load      sync.WaitGroup
	broken    atomic.Bool // the function answers an error
}

// openCluster starts so many nodes, of which change, where there is one, may make others.
func openCluster(t *testing.T, count int, credentials *realnet.Credentials, change func(i int, o *realnet.NodeOptions)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(60 * time.Millisecond)
		if c.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(function.Close)
	var listeners []net.Listener
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		c.addresses = append(c.addresses, l.Addr().String())
	}
	for i, l := range listeners {
		feed, err := watch.NewFeed(watch.Options{Addresses: c.addresses, Interval: 300 * time.Millisecond, Patience: 20 * time.Second, Credentials: credentials})
		if err != nil {
			t.Fatal(err)
		}
		o := realnet.NodeOptions{Identity: realnet.Identity{ID: fmt.Sprintf("%s%d", nasty, i), IP: c.addresses[i]},
			Port: l.Addr().(*net.TCPAddr).Port, Slots: 2, Room: 2, Queue: true, Backend: realnet.Backend{URL: function.URL}, Feed: feed, Credentials: credentials,
			Scheduler:  realnet.Descriptor{Name: "PowerOfNScheduler", Named: map[string]any{"fanout": 1, "threshold": 1}},
			Forwarding: core.Forwarding{ProbeTimeout: time.Second, AnswerTimeout: 10 * time.Second}}
		if change != nil {
			change(i, &o)
		}
		n, err := realnet.OpenNode(o)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(n.SchedulerHandler())
		s.Listener.Close()
		s.Listener = l
		s.Start()
		c.nodes, c.servers, c.feeds = append(c.nodes, n), append(c.servers, s), append(c.feeds, feed)
		t.Cleanup(func() { c.stop(i) })
	}
	for _, n := range c.nodes {
		n.SetPeers(c.addresses)
	}
	return c
}

// stop ends a node; twice does no harm.
func (c *cluster) stop(i int) {
	c.feeds[i].Close()
	c.servers[i].CloseClientConnections()
	c.servers[i].Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.nodes[i].Shutdown(ctx) // what was in hand has nobody any more who waits for it
}

// flood sends requests to the nodes until the test ends, to some more than to others.
func (c *cluster) flood() {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(func() {
		cancel()
		c.load.Wait()
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for i, a := range c.addresses {
		for k := range 1 + 2*(len(c.addresses)-i) {
			r := rand.New(rand.NewPCG(uint64(i), uint64(k)))
			c.load.Go(func() {
				for ctx.Err() == nil {
					q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a+"/function/f", strings.NewReader("x"))
					if err != nil {
						panic(err)
					}
					q.Header.Set("X-P2pfaas-Scheduler-Task-Tracing-Id", fmt.Sprintf("%s-%d-%d-%d", nasty, i, k, r.Uint64()))
					if answer, err := client.Do(q); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
					}
					time.Sleep(time.Duration(r.ExpFloat64() * 1e8))
				}
			})
		}
	}
}

// browser is a page in one.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	wrong []string // what it complains of
	hosts map[string]bool
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	if os.Getenv("P2PFAAS_BROWSER") != "1" {
		t.Skip("it drives Chromium, which not every machine has: make browser does, and so does CI")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(3*time.Minute))...) // a busy machine is slow to start it
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, hosts: map[string]bool{}}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	console, requests := chromedp.Console(ctx), chromedp.Events(ctx, network.RequestWillBeSent)
	go func() {
		for m, err := range console {
			if err == nil && (m.Type == "error" || m.Type == "warning" || m.IsException()) {
				b.note(m.String())
			}
		}
	}()
	go func() {
		for r, err := range requests {
			if err != nil {
				continue
			}
			at, err := url.Parse(r.Request.URL)
			b.mu.Lock()
			if err != nil || at.Host != "" {
				b.hosts[at.Host] = true
			}
			b.mu.Unlock()
		}
	}()
	return b
}

func (b *browser) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, what)
}

// silent checks that the page had nothing to complain of, and asked nobody but its own server.
func (b *browser) silent(host string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		b.t.Errorf("the browser complains:\n%s", strings.Join(b.wrong, "\n"))
	}
	if len(b.hosts) != 1 || !b.hosts[host] {
		b.t.Errorf("the page asks %v, and should ask %s alone", b.hosts, host)
	}
	if evaluate[bool](b, `window.hacked !== undefined || document.querySelector("img") !== null`) {
		b.t.Error("a name has become markup")
	}
}

// look sets the size of the window and the scheme of colours.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
	_, err2 := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err := errors.Join(err, err2); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(address string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(address)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) press(keys string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys)); err != nil {
		b.t.Fatal(err)
	}
}

func evaluate[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// within waits until a script says true.
func (b *browser) within(what, script string) {
	b.t.Helper()
	for began := time.Now(); !evaluate[bool](b, script); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 3*time.Minute {
			b.t.Fatalf("not within three minutes: %s; the page says\n%.3000s", what, evaluate[string](b, `document.body.innerText`))
		}
	}
}

// picture keeps what is seen, where P2PFAAS_PICTURES names a directory for it.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("P2PFAAS_PICTURES")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o666)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// contrasts lists texts whose contrast to what lies behind them is less than WCAG's 4.5.
const contrasts = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m[3] ?? 1 }; };
  const lightness = ({ rgb }) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (let x = e; x; x = x.parentElement) {
    if (x instanceof SVGGElement && x.classList.contains("node")) { const box = x.querySelector(e.classList.contains("badge-text") ? ".badge" : ".box"); return parse(getComputedStyle(box).fill); }
    const c = parse(getComputedStyle(x).backgroundColor); if (c.a > 0.99) return c; } return parse("rgb(255,255,255)"); };
  const poor = []; let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!text || e.closest("noscript, title, option, script, style, [hidden], .skip") || !e.getClientRects().length || e.closest("dialog:not([open])")) continue;
    const s = getComputedStyle(e); const front = parse(e instanceof SVGElement ? s.fill : s.color);
    const [a, b] = [lightness(front), lightness(behind(e))]; const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen++; if (ratio < 4.5) poor.push(text.slice(0, 30) + " " + ratio.toFixed(2));
  }
  return seen < 40 ? ["only " + seen + " texts were found"] : poor;
})()`

func TestPageOfARunningCluster(t *testing.T) {
	b := openBrowser(t)
	c := openCluster(t, 4, nil, nil)
	c.flood()
	b.look(1280, 800, "light")
	b.open("http://" + c.addresses[0] + "/ui/")
	b.within("all nodes are there", `document.querySelectorAll(".topology .node.alive").length === 4`)
	b.within("tasks are forwarded", `document.querySelectorAll(".edge .dots").length > 0 && getComputedStyle(document.querySelector(".edge .dots")).animationName === "flow"`)
	b.within("there is a latency", `document.querySelector("#latency .line.solid")?.getAttribute("d").includes("L") ?? false`)
	seen := map[string]bool{}
	for began := time.Now(); len(seen) < 3; time.Sleep(100 * time.Millisecond) {
		seen[evaluate[string](b, `[...document.querySelectorAll(".topology .slots")].map((s) => s.dataset.taken).join()`)] = true
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("loads do not move: %v", seen)
		}
	}

	// Keys.
	b.press("n")
	first := evaluate[string](b, `document.activeElement.dataset.address ?? ""`)
	b.press(kb.ArrowRight)
	second := evaluate[string](b, `document.activeElement.dataset.address ?? ""`)
	if !slices.Contains(c.addresses, first) || !slices.Contains(c.addresses, second) || first == second {
		t.Errorf("the arrow key leads from node %q to %q", first, second)
	}
	b.press(kb.Enter)
	b.within("the node is described", fmt.Sprintf(`document.querySelector("#details h3")?.textContent === %q`, "Node "+second))
	b.press("?")
	b.within("the keys are listed", `document.querySelector("#keys").open && document.activeElement.closest("#keys") !== null`)
	b.press(kb.Escape)
	b.within("the list is closed", `!document.querySelector("#keys").open`)
	evaluate[bool](b, `document.activeElement.blur() ?? true`) // the node would take the key for itself
	b.press(" ")
	b.within("it is paused", `document.querySelector("#status").textContent === "paused"`)
	b.press(" ")
	b.within("it goes on", `document.querySelector("#status").textContent === "live"`)
	reached := map[string]bool{}
	for range 80 {
		b.press(kb.Tab)
		reached[evaluate[string](b, `document.activeElement.id || document.activeElement.getAttribute("class") || ""`)] = true
		if !evaluate[bool](b, `document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== "none" || document.activeElement.matches(".node")`) {
			t.Errorf("the focus is not seen at %s", evaluate[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
		}
	}
	for _, id := range []string{"pause", "help", "request-id", "algorithm", "slots", "room", "where", "chart"} {
		if !reached[id] {
			t.Errorf("the tab key does not lead to %s: %v", id, reached)
		}
	}

	// The path of a request whose name is none that one should print.
	b.within("requests are listed", `document.querySelectorAll("#path tbody button").length > 0`)
	evaluate[bool](b, `document.querySelector("#path tbody button").click() ?? true`)
	b.within("the path of one is told", `document.querySelectorAll("#path .steps li").length > 0 && document.querySelectorAll("#path .way .part").length > 0`)
	b.picture("page-live")

	// The scheduler, at all nodes.
	evaluate[bool](b, `(() => { const a = document.querySelector("#algorithm"); a.value = "NoScheduler"; a.dispatchEvent(new Event("change")); document.querySelector("#slots").value = "3"; document.querySelector("#scheduler button").click(); return true; })()`)
	b.within("the change is told", `document.querySelector("#scheduler [role=status]").textContent.includes("Changed at 4 nodes")`)
	for i, n := range c.nodes {
		if s := n.Status(); s.Scheduler.Name != "NoScheduler" || s.Slots != 3 {
			t.Errorf("node %d has %s and %d slots", i, s.Label, s.Slots)
		}
	}

	// A function that answers errors: its requests are completed, and failed all the same.
	c.broken.Store(true)
	b.within("failures are seen in all, and at each node", `(() => { const all = (q, text) => [...document.querySelectorAll(q)].filter((x) => x.textContent.includes(text)).length;
		return all("#failed.failing", "errors of functions") === 1 && all(".topology .node.failing .badge-text", "% fail") === 4 && all("#nodes td.failing", "%") === 4 &&
		document.querySelectorAll("#outcomes .column.errors").length > 0; })()`)
	b.picture("page-failing")

	// Legible, in both schemes.
	for _, scheme := range []string{"light", "dark"} {
		b.look(1280, 800, scheme)
		if poor := evaluate[[]string](b, contrasts); len(poor) > 0 {
			t.Errorf("too little contrast in the %s scheme: %v", scheme, poor)
		}
	}
	light, dark := "rgb(243, 245, 248)", evaluate[string](b, `getComputedStyle(document.body).backgroundColor`)
	if light == dark {
		t.Error("there is no dark scheme")
	}

	// A node that stops.
	b.look(1280, 800, "light")
	c.stop(3)
	b.within("a node is shown as gone", fmt.Sprintf(`(() => { const n = document.querySelector('.topology [data-address="%s"]'); return n.matches(".unreachable") && n.querySelector(".slots").children.length === 0 && n.querySelector(".badge-text").textContent.includes("no answer"); })()`, c.addresses[3]))
	b.within("that is news", fmt.Sprintf(`document.querySelector("#events").textContent.includes(%q)`, c.addresses[3]+" is not answering"))
	b.picture("page-gone")
	b.look(400, 800, "light")
	if wide := evaluate[int](b, `document.documentElement.scrollWidth`); wide > 400 {
		t.Errorf("the page is %d pixels wide in a window of 400", wide)
	}
	b.picture("page-narrow")
	b.silent(c.addresses[0])
}

// change has the page give nodes an algorithm: the fields that are named, by the ends of their ids, are written.
func (b *browser) change(algorithm string, fields map[string]string) {
	b.t.Helper()
	b.choose("algorithm", algorithm)
	for name, value := range fields {
		b.choose("parameter-"+name, value)
	}
	evaluate[bool](b, `(document.querySelector("#scheduler [role=status]").textContent = "", document.querySelector("#scheduler button").click(), true)`)
	b.within("the change is told", `document.querySelector("#scheduler [role=status]").textContent !== ""`)
}

// choose writes a field of the page.
func (b *browser) choose(id, value string) {
	b.t.Helper()
	if !evaluate[bool](b, fmt.Sprintf(`(() => { const f = document.getElementById(%q); f.value = %q; f.dispatchEvent(new Event("change")); return f.value === %[2]q; })()`, id, value)) {
		b.t.Fatalf("%s does not take %q", id, value)
	}
}

// shows waits until the page, asked for an algorithm anew, shows a parameter as the node has it.
func (b *browser) shows(algorithm, name, value string) {
	b.t.Helper()
	b.within(fmt.Sprintf("%s: %s is %s", algorithm, name, value), fmt.Sprintf(`(() => { const a = document.querySelector("#algorithm"); a.value = %q; a.dispatchEvent(new Event("change"));
		return document.querySelector("#parameter-" + %q).value === %q; })()`, algorithm, name, value))
}

// Parameters that are lists are written, read back from the node, and written again, as they are.
func TestPageChangesLists(t *testing.T) {
	b := openBrowser(t)
	c := openCluster(t, 2, nil, nil)
	b.look(1280, 1400, "light")
	b.open("http://" + c.addresses[0] + "/ui/")
	b.within("all nodes and algorithms are there", `document.querySelectorAll(".topology .node.alive").length === 2 && document.querySelectorAll("#algorithm option").length > 10`)
	const learning = `"named":{"actions":%s,"fallback":"local","neighbours":0,"state":%s,"task_types":0}}`
	for _, x := range []struct {
		algorithm     string
		fields, shows map[string]string
		says, has     string // has: of all nodes
	}{
		{"LearningScheduler", nil, map[string]string{"state": "[type, running, queued]", "actions": "[reject, local, probe, neighbours]"}, "Changed at 2 nodes",
			fmt.Sprintf(learning, `["reject","local","probe","neighbours"]`, `["type","running","queued"]`)},
		{"LearningScheduler", map[string]string{"state": "load, slack", "fallback": "probe"}, map[string]string{"state": "[load, slack]", "fallback": "probe"}, "Changed at 2 nodes",
			strings.ReplaceAll(fmt.Sprintf(learning, `["reject","local","probe","neighbours"]`, `["load","slack"]`), `"local","neighbours":`, `"probe","neighbours":`)},
		{"LearningScheduler", map[string]string{"state": "[lod]"}, nil, `has "lod": use load`, `"state":["load","slack"]`},
		{"ProbabilisticSplit", map[string]string{"matrix": "[[0.5, 0.5], [0, 1]]"}, map[string]string{"matrix": "[[0.5,0.5],[0,1]]"}, "Changed at 2 nodes", `"named":{"matrix":[[0.5,0.5],[0,1]]}}`},
		{"ProbabilisticSplit", nil, map[string]string{"matrix": "[[0.5,0.5],[0,1]]"}, "Changed at 2 nodes", `"named":{"matrix":[[0.5,0.5],[0,1]]}}`},
		{"ProbabilisticSplit", map[string]string{"matrix": "0,1,1,0"}, nil, "must be a list of rows", `"named":{"matrix":[[0.5,0.5],[0,1]]}}`},
	} {
		b.change(x.algorithm, x.fields)
		if said := evaluate[string](b, `document.querySelector("#scheduler [role=status]").textContent`); !strings.Contains(said, x.says) {
			t.Errorf("%s with %v: the page says %s", x.algorithm, x.fields, said)
		}
		for i, n := range c.nodes {
			if is := n.Status().Scheduler.String(); !strings.Contains(is, x.has) {
				t.Errorf("%s with %v: node %d has %s", x.algorithm, x.fields, i, is)
			}
		}
		for name, value := range x.shows {
			b.shows(x.algorithm, name, value)
		}
		if x.fields["fallback"] == "probe" {
			b.picture("page-learning")
		}
	}
}

// What a node's scheduler says of forwarding, and what stood in v1's list, stays when the page changes a parameter of it; the
// parameters that are shown are those of the node that is to be changed.
func TestPageKeepsForwarding(t *testing.T) {
	b := openBrowser(t)
	c := openCluster(t, 3, nil, nil)
	for i, d := range map[int]string{1: `{"name":"PowerOfNScheduler","named":{"fanout":2},"forwarding":{"max_hops":3,"on_failure":"next","probe_timeout_ns":5000000}}`,
		2: `{"name":"PowerOfNScheduler","parameters":["1","2","true","4"]}`} {
		if err := realnet.SendChange(t.Context(), http.DefaultClient, c.addresses[i], realnet.Change{Scheduler: json.RawMessage(d)}); err != nil {
			t.Fatal(err)
		}
	}
	b.look(1280, 1400, "light")
	b.open("http://" + c.addresses[0] + "/ui/")
	b.within("all nodes and algorithms are there", `document.querySelectorAll(".topology .node.alive").length === 3 && document.querySelectorAll("#algorithm option").length > 10`)
	const settings = `"at_hop_limit":"execute","on_refusal":"execute","on_failure":"execute","probe_timeout_ns":1000000000,"answer_timeout_ns":10000000000}}`
	const power = `"named":{"fanout":%d,"loss":"%s","pick":"least","replacement":false,"strict":true,"threshold":%d}%s`
	for _, x := range []struct {
		node          int
		shows, fields map[string]string
		has           string
	}{
		{1, map[string]string{"fanout": "2", "threshold": "2", "max_hops": "3"}, map[string]string{"threshold": "5"},
			fmt.Sprintf(power, 2, "none", 5, `,"forwarding":{"max_hops":3,"at_hop_limit":"execute","on_refusal":"execute","on_failure":"next","probe_timeout_ns":5000000,"answer_timeout_ns":10000000000}}`)},
		{1, map[string]string{"threshold": "5", "max_hops": "3"}, map[string]string{"max_hops": ""},
			fmt.Sprintf(power, 2, "none", 5, `,"forwarding":{"max_hops":1,"at_hop_limit":"execute","on_refusal":"execute","on_failure":"next","probe_timeout_ns":5000000,"answer_timeout_ns":10000000000}}`)},
		{2, map[string]string{"fanout": "1", "loss": "announce", "max_hops": "4"}, nil, fmt.Sprintf(power, 1, "announce", 2, `,"forwarding":{"max_hops":4,`+settings)},
		{0, map[string]string{"fanout": "1", "threshold": "1", "loss": "none", "max_hops": "1"}, nil, fmt.Sprintf(power, 1, "none", 1, "}")},
		{0, map[string]string{"max_hops": "1"}, map[string]string{"max_hops": "2"}, fmt.Sprintf(power, 1, "none", 1, `,"forwarding":{"max_hops":2,`+settings)},
	} {
		b.choose("where", c.addresses[x.node])
		for name, value := range x.shows {
			b.shows("PowerOfNScheduler", name, value)
		}
		var before []string
		for _, n := range c.nodes {
			before = append(before, n.Status().Scheduler.String())
		}
		b.change("PowerOfNScheduler", x.fields)
		for i, n := range c.nodes {
			if is := n.Status().Scheduler.String(); i == x.node && !strings.HasSuffix(is, x.has) || i != x.node && is != before[i] {
				t.Errorf("node %d, where node %d is given %v, has %s, not %s", i, x.node, x.fields, is, x.has)
			}
		}
	}
	b.choose("where", "")
	b.within("the page has heard of the last change", `document.querySelector("#scheduler").textContent.includes("PowerOfNScheduler(1, 1, false, 2)")`)
	b.choose("algorithm", "PowerOfNScheduler")
	b.within("what goes along is told", `document.querySelector("#parameter-max_hops-hint").textContent.includes("on_failure")`)
	b.within("it is said whose parameters are shown", fmt.Sprintf(`document.querySelector("#scheduler form").textContent.includes("Shown is what %s has")`, slices.Min(c.addresses)))
	evaluate[bool](b, `(document.querySelector("#scheduler").scrollIntoView(), true)`)
	b.picture("page-parameters")
	b.silent(c.addresses[0])
}

// The mean reward is that of all entries: nobody's zero counts who has had none.
func TestPageOfLearners(t *testing.T) {
	b := openBrowser(t)
	learners := make([]*realnet.LocalLearner, 3)
	c := openCluster(t, len(learners), nil, func(i int, o *realnet.NodeOptions) {
		config := learner.Default()
		config.Actions = 4
		config.Policy.Epsilon = learner.Schedule{Kind: "constant", Start: .25}
		l, err := learner.New(config, *rand.NewPCG(1, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		learners[i] = realnet.NewLocalLearner(l)
		o.Learner, o.Scheduler = learners[i], realnet.Descriptor{Name: "LearningScheduler", Named: map[string]any{}}
	})
	c.flood()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c.load.Go(func() { // three entries worth 1, and one worth -1; the last node gets none
		for eid := uint64(0); ctx.Err() == nil; eid++ {
			err := learners[1].Train(ctx, learner.Entry{EID: eid, State: []float64{0}, Reward: -1})
			for k := range uint64(3) {
				err = errors.Join(err, learners[0].Train(ctx, learner.Entry{EID: 3*eid + k, State: []float64{0}, Reward: 1}))
			}
			if err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	b.look(1280, 1000, "light")
	b.open("http://" + c.addresses[0] + "/ui/")
	const says = `(document.querySelector("#learner .chart")?.getAttribute("aria-label") ?? "")`
	b.within("there is a mean", says+`.includes("epsilon 0.3, mean reward 0.5.")`) // of one digit
	evaluate[bool](b, `(document.querySelector("#learner").scrollIntoView(), true)`)
	b.picture("page-learners")
	cancel()
	b.within("once no entries come, there is none", says+`.match(/last: epsilon 0.3\. /) !== null`)
	b.silent(c.addresses[0])
}

// Where the node wants a token, the page asks for it.
func TestPageAsksForTheToken(t *testing.T) {
	b := openBrowser(t)
	credentials, err := realnet.NewCredentials(token)
	if err != nil {
		t.Fatal(err)
	}
	c := openCluster(t, 2, credentials, nil)
	b.open("http://" + c.addresses[0] + "/ui/")
	b.within("the token is asked for", `document.querySelector("#token").open`)
	b.press(kb.Escape)
	b.within("nobody wants to give one", `!document.querySelector("#token").open && document.body.textContent.includes("reload the page to give it one")`)
	time.Sleep(3 * time.Second) // the page tries again
	if evaluate[bool](b, `document.querySelector("#token").open`) {
		t.Error("the token is asked for again and again")
	}
	b.open("http://" + c.addresses[0] + "/ui/")
	b.within("the token is asked for again", `document.querySelector("#token").open`)
	b.press("\u20ac")
	b.press(kb.Enter)
	b.within("what no token can have is not taken", `document.querySelector("#token").open && document.querySelector("#token-field").validity.patternMismatch`)
	b.press(kb.Backspace)
	b.press("x")
	b.press(kb.Enter)
	b.within("another one is refused", `document.querySelector("#token").open && document.querySelector("#token").textContent.includes("refuses")`)
	b.press(token)
	b.press(kb.Enter)
	b.within("it is let in", `document.querySelectorAll(".topology .node.alive").length === 2`)
	if evaluate[bool](b, `document.cookie !== "" || localStorage.length > 0 || location.href.includes("0123")`) {
		t.Error("the token is kept where it should not be")
	}
}

// record is the directory of a run of three nodes, one of which crashes for a while.
func record(t *testing.T) *play.Timeline {
	t.Helper()
	file, err := scenarios.Parse("page.yaml", []byte(`
name: page
duration: 20s
warmup: 0s
replications: 1
cluster: {nodes: 3, slots: 2, queue: 2, links: {latency: 1ms}}
functions:
  - {name: f, service: {distribution: exponential, mean: 100ms}}
workload: {rate: 10/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 1, probe_timeout: 1s, answer_timeout: 1s}
faults:
  - {kind: crash, nodes: [1], at: 10s, for: 5s}
`), os.DirFS(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	points, err := file.Points()
	if err != nil {
		t.Fatal(err)
	}
	p := &results.Point{Scheduler: points[0].Scenario.Scheduler.Label, Wanted: 1}
	run := &results.Run{Name: "page", Scenario: file.Resolved(), World: "sim", Started: time.Unix(1, 0), Keep: results.Keep{Mode: results.All, Format: results.CSV},
		Points: []*results.Point{p}}
	w, err := results.Create(filepath.Join(t.TempDir(), "run"), run)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.Stream(p, 0, []string{"f"})
	if err != nil {
		t.Fatal(err)
	}
	tally := results.NewTally("f")
	for i := range 590 {
		r := results.Record{ID: core.TaskID(i), Node: core.NodeID(i % 3), Executor: core.NodeID(i / 3 % 3), Arrival: core.Time(i) * core.Time(33*time.Millisecond),
			Latency: 130 * time.Millisecond, Hops: 1, Timing: core.Timing{Forwarding: 10 * time.Millisecond, Waiting: 20 * time.Millisecond, Executing: 100 * time.Millisecond},
			Outcome: core.Completed}
		if i%7 == 0 {
			r.Outcome, r.Executor = core.NoRoom, core.NoNode
		}
		rows.Add(&r)
		tally.Add(&r)
	}
	err = errors.Join(rows.Close(), w.Save(p, &results.Replication{Measured: 20 * time.Second, Tally: tally}), w.Finish())
	if err != nil {
		t.Fatal(err)
	}
	line, err := play.New(run, p, 0, points[0].Scenario)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestPagePlaysARun(t *testing.T) {
	b := openBrowser(t)
	s := httptest.NewServer(record(t).Handler())
	t.Cleanup(s.Close)
	b.look(1280, 800, "dark")
	b.open(s.URL + "/")
	b.within("the run is there", `document.querySelectorAll(".topology .node").length === 3 && document.querySelectorAll(".mark").length === 1`)
	b.within("its records are in the charts", `document.querySelectorAll("#outcomes .column.rejected").length > 10`)
	b.press(" ")
	b.within("it plays", `Number(document.querySelector("#time").value) > 1`)
	b.press(" ")
	evaluate[bool](b, `document.querySelector(".mark").click() ?? true`)
	b.within("the crash is shown", `document.querySelector('.topology [data-address="1"]').matches(".dead") && document.querySelector("output").textContent.startsWith("0:10")`)
	b.press(".")
	b.within("it has been moved by a key", `document.querySelector("output").textContent.startsWith("0:10.2")`)
	evaluate[bool](b, `(() => { const r = document.querySelector("#time"); r.value = 16; r.dispatchEvent(new Event("input")); return true; })()`)
	b.within("the node is back", `document.querySelector('.topology [data-address="1"]').matches(".alive")`)
	evaluate[bool](b, `(() => { const f = document.querySelector("#request-id"); f.value = "100"; f.form.requestSubmit(); return true; })()`)
	b.within("the path of a request is told", `document.querySelectorAll("#path .steps li").length === 2`)
	if poor := evaluate[[]string](b, contrasts); len(poor) > 0 {
		t.Errorf("too little contrast: %v", poor)
	}
	b.silent(strings.TrimPrefix(s.URL, "http://"))
}
