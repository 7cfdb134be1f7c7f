package scenarios

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"
)

// calibrationFileDoc names the file of a calibration. A path by itself is one.
type calibrationFileDoc struct {
	Path   text    `key:"path"`
	SHA256 *digest `key:"sha256"`
}

func (*calibrationFileDoc) expand(n *yaml.Node) *yaml.Node { return expansion(n, "path", n.Value) }
func (*calibrationFileDoc) short() *jsonschema.Schema      { return text("").schema() }

// resolve reads the calibration, once for all points of a file.
func (doc *calibrationFileDoc) resolve(b *builder) *Calibration {
	if doc == nil || !b.sound(doc) {
		return nil
	}
	src := &dataFile{Path: doc.Path, SHA256: doc.SHA256} // what else it says is of tables
	return keep(b, src, "calibration", func() (*Calibration, []string) {
		path := string(doc.Path)
		data, err := readAll(b.dir, path)
		if err != nil {
			b.wrong(&doc.Path, "cannot read the calibration %s: %v: write the path, relative to the scenario, of a file that "+
				"p2pfaas calibrate wrote", short(path), cause(err))
			return nil, nil
		}
		b.opened[path] = true
		c, err := parseCalibration(b.shown(path), data)
		var problems Problems
		if errors.As(err, &problems) {
			b.problems = append(b.problems, problems...)
			b.taint(b.at[doc].path)
		}
		sum := sha256.Sum256(data)
		return c, []string{hex.EncodeToString(sum[:])}
	})
}

// readAll reads a file of keys and values; of one that is far too large, as much as shows it.
func readAll(dir fs.FS, path string) ([]byte, error) {
	f, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 16*fileLimit))
}

// fits reports a calibration that is of other nodes than those of the scenario.
func (doc *calibrationFileDoc) fits(b *builder, s *Scenario) {
	if s.Calibration == nil {
		return
	}
	for _, name := range s.FunctionNames() {
		if k := len(s.Calibration.Functions[name].Nodes); k > 0 && s.Cluster.Nodes() > 0 && k != s.Cluster.Nodes() {
			b.wrong(&doc.Path, "%s has factors for %d nodes of function %s, the cluster has %d nodes: calibrate these, or take the "+
				"key nodes out of the calibration", doc.Path, k, name, s.Cluster.Nodes())
		}
	}
}

// calibrationDoc is the file of a calibration.
type calibrationDoc struct {
	Measured  measuredDoc                       `key:"measured" eg:"{at: 2026-11-28T19:00:00Z, ...}"`
	Cores     count                             `key:"cores" min:"1"`
	Timer     spreadDoc                         `key:"timer" eg:"{times: [50us, 60us]}"`
	Link      spreadDoc                         `key:"link" eg:"{times: [50us, 60us]}"`
	Costs     costsDoc                          `key:"costs" eg:"{client: {cpu: 350us, times: [...]}, ...}"`
	Functions map[string]*calibratedFunctionDoc `key:"functions"`
	Idle      real                              `key:"idle" default:"0" max:"1024"`
}

type measuredDoc struct {
	At       instant `key:"at" eg:"2026-11-28T19:00:00Z"`
	Host     text    `key:"host" eg:"\"linux amd64, 2 cores\""`
	Version  text    `key:"version" eg:"v0.5.0"`
	Scenario label   `key:"scenario"`
	Target   choice  `key:"target" oneof:"local compose hosts nodes"`
	Seed     seed    `key:"seed" eg:"9001"`
	Requests count   `key:"requests" min:"1"`
	Notes    []text  `key:"notes"`
}

type spreadDoc struct {
	Times times `key:"times" need:"true" eg:"[50us, 60us]"`
}

type costsDoc struct {
	Client  costDoc `key:"client" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Probe   costDoc `key:"probe" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Forward costDoc `key:"forward" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Return  costDoc `key:"return" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Call    costDoc `key:"call" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Act     costDoc `key:"act" default:"{cpu: 0s, times: []}"`
}

type costDoc struct {
	CPU   duration `key:"cpu"`
	Times times    `key:"times" need:"true" eg:"[50us, 60us]"`
}

type calibratedFunctionDoc struct {
	Stretch  real          `key:"stretch" over:"0"`
	CPU      share         `key:"cpu"`
	Call     costDoc       `key:"call" eg:"{cpu: 350us, times: [400us, 500us]}"`
	Service  *times        `key:"service"`
	Fits     []fitDoc      `key:"fits"`
	Slowdown []slowdownDoc `key:"slowdown"`
	Nodes    []real        `key:"nodes" over:"0"`
}

type fitDoc struct {
	Distribution text   `key:"distribution" eg:"\"{distribution: exponential, mean: 80ms}\""`
	AIC          signed `key:"aic" eg:"-1234.5"`
	KS           share  `key:"ks"`
	P            share  `key:"p"`
}

type slowdownDoc struct {
	AtOnce count `key:"at_once" min:"1"`
	Factor real  `key:"factor" over:"0"`
	Model  real  `key:"model" over:"0"`
}

// times are the values of a Spread.
type times []duration

// spreadLimit bounds a Spread: a hundred values are what a calibration has.
const spreadLimit = 1000

func (ts *times) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.SequenceNode {
		d.bad(n, path, "found %s where a list of times belongs: write [50us, 60us], or [] for none", nodeKind(n))
		return
	}
	if len(n.Content) > spreadLimit {
		d.bad(n, path, "there are %d times: write %d at most, as the means of so many parts of what was measured",
			len(n.Content), spreadLimit)
		return
	}
	*ts = make(times, len(n.Content))
	for i, c := range n.Content {
		t := &(*ts)[i]
		d.value(c, reflect.ValueOf(t).Elem(), &field{}, join(path, strconv.Itoa(i)))
		if i > 0 && *t < (*ts)[i-1] && d.sound(t) && d.sound(&(*ts)[i-1]) {
			d.wrong(t, "%s comes after %s: write the times in ascending order", *t, (*ts)[i-1])
			return
		}
	}
}

func (ts *times) encode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for i := range *ts {
		n.Content = append(n.Content, encodeScalar(&(*ts)[i]))
	}
	return n
}

func (ts times) spread() Spread {
	if len(ts) == 0 {
		return nil
	}
	s := make(Spread, len(ts))
	for i, t := range ts {
		s[i] = time.Duration(t)
	}
	return s
}

func timesOf(s Spread) times {
	ts := make(times, len(s))
	for i, v := range s {
		ts[i] = duration(v)
	}
	return ts
}

func (doc *costDoc) cost() Cost {
	return Cost{Time: doc.Times.spread(), CPU: time.Duration(doc.CPU)}
}

func costDocOf(c Cost) costDoc { return costDoc{CPU: duration(c.CPU), Times: timesOf(c.Time)} }

// ReadCalibration reads the file of a calibration, as strictly as a scenario. The error is of type Problems where the file
// could be read.
func ReadCalibration(path string) (*Calibration, error) {
	data, err := readAll(diskDir("."), path)
	if err != nil {
		return nil, fmt.Errorf("reading a calibration: %w", err)
	}
	return parseCalibration(path, data)
}

// parseCalibration reads the text of a calibration; file is its name in problems.
func parseCalibration(file string, data []byte) (*Calibration, error) {
	var doc calibrationDoc
	r := Read(file, data, "a calibration (p2pfaas calibrate makes one)", &doc)
	c := &Calibration{
		Measured: Measured{At: time.Time(doc.Measured.At), Host: string(doc.Measured.Host), Version: string(doc.Measured.Version),
			Scenario: string(doc.Measured.Scenario), Target: string(doc.Measured.Target), Seed: uint64(doc.Measured.Seed),
			Requests: int(doc.Measured.Requests)},
		Cores: int(doc.Cores),
		Timer: doc.Timer.Times.spread(),
		Link:  doc.Link.Times.spread(),
		Idle:  float64(doc.Idle),
		Costs: Costs{Client: doc.Costs.Client.cost(), Probe: doc.Costs.Probe.cost(), Forward: doc.Costs.Forward.cost(),
			Return: doc.Costs.Return.cost(), Act: doc.Costs.Act.cost(), Call: doc.Costs.Call.cost()},
	}
	for _, note := range doc.Measured.Notes {
		c.Measured.Notes = append(c.Measured.Notes, string(note))
	}

	for _, name := range slices.Sorted(maps.Keys(doc.Functions)) {
		if c.Functions == nil {
			c.Functions = map[string]CalibratedFunction{}
		}
		c.Functions[name] = doc.Functions[name].resolve(r)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (doc *calibratedFunctionDoc) resolve(r *Reading) CalibratedFunction {
	f := CalibratedFunction{Stretch: float64(doc.Stretch), CPU: float64(doc.CPU), Call: doc.Call.cost()}
	if doc.Service != nil {
		f.Service = doc.Service.spread()
	}
	for i := range doc.Fits {
		x := &doc.Fits[i]
		if r.Sound(&x.Distribution) {
			if _, err := parseDistribution("it", string(x.Distribution), embed.FS{}); err != nil {
				r.Wrong(&x.Distribution, "this is no distribution: %v", err.(Problems)[0].Message)
			}
		}
		if i > 0 && x.AIC < doc.Fits[i-1].AIC && r.Sound(&x.AIC) {
			r.Wrong(&x.AIC, "%s comes after %s: write the best fit first, the one with the least aic", x.AIC, doc.Fits[i-1].AIC)
		}
		f.Fits = append(f.Fits, Fit{Distribution: string(x.Distribution), AIC: float64(x.AIC), KS: float64(x.KS), P: float64(x.P)})
	}
	for i := range doc.Slowdown {
		x := &doc.Slowdown[i]
		if i > 0 && x.AtOnce <= doc.Slowdown[i-1].AtOnce && r.Sound(&x.AtOnce) {
			r.Wrong(&x.AtOnce, "%s comes after %s: write each number once, in ascending order", x.AtOnce, doc.Slowdown[i-1].AtOnce)
		}
		f.Slowdown = append(f.Slowdown, Slowdown{AtOnce: int(x.AtOnce), Factor: float64(x.Factor), Model: float64(x.Model)})
	}
	for _, x := range doc.Nodes {
		f.Nodes = append(f.Nodes, float64(x))
	}
	return f
}

// Write writes the calibration as a file that ReadCalibration reads to the same, in UTC. What it would not read is an error.
func (c *Calibration) Write(w io.Writer) error {
	n := encodeValue(reflect.ValueOf(c.document()))
	inLines(n)
	var b bytes.Buffer
	b.WriteString("# What p2pfaas calibrate measured. A scenario includes it with calibration: PATH, relative to the scenario.\n")
	b.Write(writeYAML(n))
	if _, err := parseCalibration("calibration", b.Bytes()); err != nil {
		return fmt.Errorf("a calibration that cannot be read again: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (c *Calibration) document() *calibrationDoc {
	m := &c.Measured
	doc := &calibrationDoc{
		Measured: measuredDoc{At: instant(m.At), Host: text(m.Host), Version: text(m.Version), Scenario: label(m.Scenario),
			Target: choice(m.Target), Seed: seed(m.Seed), Requests: count(m.Requests)},
		Cores: count(c.Cores),
		Timer: spreadDoc{timesOf(c.Timer)},
		Link:  spreadDoc{timesOf(c.Link)},
		Idle:  real(c.Idle),
		Costs: costsDoc{Client: costDocOf(c.Costs.Client), Probe: costDocOf(c.Costs.Probe), Forward: costDocOf(c.Costs.Forward),
			Return: costDocOf(c.Costs.Return), Act: costDocOf(c.Costs.Act), Call: costDocOf(c.Costs.Call)},
		Functions: map[string]*calibratedFunctionDoc{},
	}
	for _, note := range m.Notes {
		doc.Measured.Notes = append(doc.Measured.Notes, text(note))
	}

	for name, f := range c.Functions {
		doc.Functions[name] = f.document()
	}
	return doc
}

func (f *CalibratedFunction) document() *calibratedFunctionDoc {
	doc := &calibratedFunctionDoc{Stretch: real(f.Stretch), CPU: share(f.CPU), Call: costDocOf(f.Call)}
	if len(f.Service) > 0 {
		ts := timesOf(f.Service)
		doc.Service = &ts
	}
	for _, x := range f.Fits {
		doc.Fits = append(doc.Fits, fitDoc{text(x.Distribution), signed(x.AIC), share(x.KS), share(x.P)})
	}
	for _, x := range f.Slowdown {
		doc.Slowdown = append(doc.Slowdown, slowdownDoc{count(x.AtOnce), real(x.Factor), real(x.Model)})
	}
	for _, x := range f.Nodes {
		doc.Nodes = append(doc.Nodes, real(x))
	}
	return doc
}

// inLines gives each entry of a list one line.
func inLines(n *yaml.Node) {
	for _, c := range n.Content {
		if n.Kind == yaml.SequenceNode {
			c.Style |= yaml.FlowStyle
		}
		inLines(c)
	}
}
