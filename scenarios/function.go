package scenarios

import (
	"math"
	"net/url"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/random"
)

type functionDoc struct {
	Name      label            `key:"name"`
	Service   distributionDoc  `key:"service"`
	Payload   byteCount        `key:"payload" default:"0B"`
	Reply     byteCount        `key:"reply" default:"0B"`
	Deadline  *distributionDoc `key:"deadline"`
	Priority  count            `key:"priority" default:"0" max:"32767"`
	Share     *share           `key:"share"`
	ColdStart *coldStartDoc    `key:"cold_start"`
	Replicas  choice           `key:"replicas" default:"iid" oneof:"iid same"`
	Placement *placementDoc    `key:"placement"`
	CPU       busy             `key:"cpu" default:"auto"`
	Backend   backendDoc       `key:"backend" default:"sleep"`
}

// backendDoc is what real nodes execute where a simulation has a service time alone.
type backendDoc struct {
	Kind    choice `key:"kind" kind:"true"`
	Command []text `key:"command"`
	URL     *text  `key:"url"`
	Image   *text  `key:"image"`
}

func (backendDoc) variants() []variant {
	return []variant{
		{"sleep", "", ""},
		{"loop", "", ""},
		{"face-detect", "", ""},
		{"exec", "command", ""},
		{"url", "url", ""},
		{"image", "image", ""},
	}
}

func (*backendDoc) expand(n *yaml.Node) *yaml.Node { return expansion(n, "kind", n.Value) }

func (*backendDoc) short() *jsonschema.Schema { return enum([]string{"sleep", "loop", "face-detect"}) }

type coldStartDoc struct {
	Time      distributionDoc `key:"time"`
	KeepAlive duration        `key:"keep_alive"`
}

// functionLimit is what a core.TaskType can number, with room to spare.
const functionLimit = 4096

func resolveFunctions(b *builder, doc *document, s *Scenario) []Function {
	if len(doc.Functions) > functionLimit {
		b.wrong(&doc.Functions, "there are %d functions: write %d at most", len(doc.Functions), functionLimit)
		return nil
	}
	fs := make([]Function, len(doc.Functions))
	seen := map[label]bool{}
	shares, given := 0.0, 0
	for i := range doc.Functions {
		f := &doc.Functions[i]
		if seen[f.Name] && b.sound(f) {
			b.wrong(&f.Name, "two functions are called %s: give them different names", f.Name)
		}
		seen[f.Name] = true
		fs[i] = f.resolve(b)
		fs[i].Nodes = f.Placement.resolve(b, s, i)
		fs[i].CPU = f.busy(s.Calibration)
		if c := s.Calibration; c != nil {
			if measured := c.Functions[fs[i].Name].Service; len(measured) > 0 {
				fs[i].Service = measured.Dist()
			}
		}
		if f.Share != nil {
			given++
			shares += float64(*f.Share)
			fs[i].Share = float64(*f.Share)
		} else {
			fs[i].Share = 1 / float64(len(fs))
		}
	}
	switch {
	case given == 0 || !b.sound(&doc.Functions):
	case given < len(fs):
		b.wrong(&doc.Functions, "%d of %d functions have a share: give one to each, or to none", given, len(fs))
	case math.Abs(shares-1) > 1e-6:
		b.wrong(&doc.Functions, "the shares of the functions sum to %g: write ones that sum to 1", shares)
	}
	return fs
}

func (f *functionDoc) resolve(b *builder) Function {
	r := Function{
		Name:     string(f.Name),
		Service:  f.Service.resolve(b),
		Payload:  int(f.Payload),
		Reply:    int(f.Reply),
		Priority: int(f.Priority),
		Backend:  f.Backend.resolve(b),
	}
	r.MeanService = random.Seconds(r.Service.Mean())
	if f.Replicas == "same" {
		r.Replicas = ReplicasSame
	}
	if f.Deadline != nil {
		d := f.Deadline.resolve(b)
		if zero(d) && b.sound(f.Deadline) {
			b.wrong(f.Deadline, "a deadline of 0s is missed by every task: write more, or leave the key out")
		}
		if c, ok := d.(random.Constant); ok {
			r.Deadline = random.Seconds(c.Mean())
		} else {
			r.Deadline, r.DeadlineDist = random.Seconds(d.Mean()), d
		}
	}
	if c := f.ColdStart; c != nil {
		r.ColdStart = &ColdStart{Time: c.Time.resolve(b), KeepAlive: time.Duration(c.KeepAlive)}
	}
	return r
}

// busy is the share of the service time during which the function keeps a core busy: what the file says, then what was
// measured, then what its backend is meant to do.
func (f *functionDoc) busy(c *Calibration) float64 {
	if f.CPU.given {
		return float64(f.CPU.share)
	}
	if c != nil {
		if measured, is := c.Functions[string(f.Name)]; is {
			return measured.CPU
		}
	}
	if f.Backend.Kind == "sleep" {
		return 0
	}
	return 1
}

func (doc *backendDoc) resolve(b *builder) Backend {
	r := Backend{Kind: string(doc.Kind)}
	for _, word := range doc.Command {
		r.Command = append(r.Command, string(word))
	}
	if doc.Image != nil {
		r.Image = string(*doc.Image)
	}
	if doc.URL != nil {
		r.URL = string(*doc.URL)
		if u, err := url.Parse(r.URL); b.sound(doc) && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			b.wrong(doc.URL, "%q is no URL of a function: write one like http://127.0.0.1:8080/", short(r.URL))
		}
	}
	return r
}
