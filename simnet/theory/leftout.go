package theory

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// Exception says which values are not measured, and why.
type Exception struct {
	Tables, Metrics string // patterns as of path.Match, separated by spaces
	When            string // in which cases; "": in all
	Reason          string

	applies func(p *params, v Value) bool // nil: in all
}

// Exceptions are what no simulation can measure, or not this one. Everything else that a table has is measured.
var Exceptions = []Exception{
	{"*", "scv", "", "a property of the law that is given, not of the queue", nil},
	{"*", "sigma", "", "the root of an equation; the probability of waiting equals it and is measured", nil},
	{"MG1LN", "*_halfwidth", "", "the numerical uncertainty of another value", nil},
	{"ROUTE", "wardrop_lam_*", "0", "latency levelling goes on exploring the node",
		func(_ *params, v Value) bool { return v.Value == 0 }},
	{"ROUTE", "price_of_anarchy", "", "the quotient of T_wardrop and T_social, which are measured", nil},
	{"JIQ", "P_Iqueue_empty", "", "a state of the algorithm, not of a node; T_random is a function of it", nil},
	{"JIQ", "*_Lu", "", "an approximation of its authors; T_random is the exact limit", nil},
	{"REFINED", "L_inf V", "", "coefficients; L_N_approx is made of them", nil},
	{"REFLL*", "*_inf *_coef", "", "coefficients; the values for 50, 100 and 1000 nodes are made of them", nil},
	{"REFINED", "*", "with N < 50", "the error O(1/N²) of the approximation exceeds 0.5 %", func(p *params, _ Value) bool {
		return p.int("N") < 50
	}},
	{"REFLL*", "PB_N* T_N*", "where the correction of 1/N exceeds 5 %",
		"the terms that the expansion leaves out exceed 0.5 %, at critical load by far", coarse},
	{"JSQDK", "*", "lam >= 1 with PB < 1 %",
		"critical: only rare refusals bound the load, and 1000 nodes are far from the limit",
		func(p *params, _ Value) bool {
			blocking, known := p.of.value("PB")
			return known && blocking < 0.01 && p.float("lam") >= 1
		}},
	{"JSQDK", "PB", "below 1 %", "off by more than 5 % at 1000 nodes", small},
	{"LL[SPF]", "PB pK", "below 1 %",
		"off by more than 5 % at 1000 nodes; the table REFLL of the same letter has the value", small},
	{"LLS", "*", "lam = 1 with T <= 5", "critical: about 1 % off at 1000 nodes; REFLLS has the value",
		func(p *params, _ Value) bool { return p.float("lam") >= 1 && p.int("T") <= 5 }},
	{"*", "Wq_p* T_p*", "where the distribution has an atom that ends at this probability",
		"every value above the atom is as right, to the limit of many requests", onAtom},
	{"*", "Lq Wq Wq_var", "where less than one request in a million waits",
		"no run meets enough of those; that ErlangC, or P_wait, is not larger is measured",
		func(p *params, _ Value) bool {
			waits, known := p.waiting()
			return known && waits < 1e-6
		}},
	{"MG1", "T_var Wq_var", "lognormal services with cv > 1.5",
		"made of the third moment of the services, which has no useful estimate from 10^7 of them", heavy},
	{"NHPP", "*", "without the folder of the traffic", "the curves do not come with the program: --traffic DIR", nil},
}

// leftOut is the reason why a value is not measured; "": it is.
func leftOut(p *params, v Value) string {
	for i := range Exceptions {
		e := &Exceptions[i]
		if e.Tables == "NHPP" && p.traffic != "" {
			continue
		}
		if match(e.Tables, p.of.Table) && match(e.Metrics, v.Metric) && (e.applies == nil || e.applies(p, v)) {
			return e.Reason
		}
	}
	return ""
}

// match reports whether one of the patterns matches.
func match(patterns, name string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

// onAtom reports whether a quantile belongs to the probability, but for 0.5 %, at which an atom of its distribution
// ends: that of not waiting, for which the wait is 0 and, with constant services, the sojourn time one service.
func onAtom(p *params, v Value) bool {
	name, percent, _ := strings.Cut(v.Metric, "_p")
	level, err := strconv.ParseFloat(percent, 64)
	if err != nil {
		return false
	}
	if name == "T" && !strings.HasPrefix(p.values["G"], "D/") {
		return false
	}
	waits, known := p.waiting()
	return known && math.Abs(1-waits-level/100) < 0.005
}

// waiting is the probability that a request waits, where it is known.
func (p *params) waiting() (probability float64, known bool) {
	for _, metric := range []string{"P_wait", "ErlangC", "P_wait_acc", "rho"} {
		if probability, known = p.of.value(metric); known {
			return probability, true
		}
	}
	if p.of.Table == "MG1LN" {
		return p.float("lam") * p.float("mean"), true
	}
	return 0, false
}

func small(_ *params, v Value) bool { return v.Value < 0.01 }

// coarse reports whether an expansion in 1/N has more than 5 % in its first term.
func coarse(p *params, v Value) bool {
	limit, known := p.of.value("PB_inf")
	if load, also := p.of.value("L_inf"); strings.HasPrefix(v.Metric, "T") {
		limit, known = load/(p.float("lam")*(1-limit)), known && also
	}
	return known && math.Abs(v.Value-limit) > 0.05*v.Value
}

func heavy(p *params, _ Value) bool {
	kind, rest, _ := strings.Cut(p.values["G"], "/")
	_, cv, _ := strings.Cut(rest, "/")
	return kind == "LN" && p.number("G", cv) > 1.5
}
