package fit

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// family is a parametric family of distributions.
type family struct {
	name       string
	parameters int
	fit        func(*sample) (model, bool) // by maximum likelihood; false: there is none
}

// families in the order of a scenario's manual.
var families = []family{
	{"exponential", 1, exponential},
	{"shifted-exponential", 2, shiftedExponential},
	{"erlang", 2, erlang},
	{"hyperexponential", 3, hyperexponential},
	{"lognormal", 2, lognormal},
	{"gamma", 2, gamma},
	{"weibull", 2, weibull},
	{"uniform", 2, uniform},
}

// model is a distribution of a family.
type model struct {
	random.Dist // for samples of it
	text        string
	logProb     func(float64) float64
	cdf         func(float64) float64
}

// String is the distribution as a scenario writes it: {distribution: gamma, mean: 80ms, shape: 3.2}.
func (m model) String() string { return m.text }

// What a scenario may say of a distribution.
const (
	leastShape, mostShape = 0.01, 1000
	mostSCV               = 1e6
)

// text writes a distribution as a scenario has it.
func text(name string, pairs ...any) string {
	s := "{distribution: " + name
	for i := 0; i < len(pairs); i += 2 {
		s += fmt.Sprintf(", %s: %v", pairs[i], pairs[i+1])
	}
	return s + "}"
}

// duration of a parameter, to the nanosecond.
func duration(seconds float64) string {
	unit, factor := "ms", 1e3
	if seconds >= 10 {
		unit, factor = "s", 1
	}
	return strconv.FormatFloat(math.Round(seconds*1e9)/1e9*factor, 'g', 9, 64) + unit
}

// number is a parameter without a unit.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

func exponential(s *sample) (model, bool) {
	d := distuv.Exponential{Rate: 1 / s.mean}
	return model{random.NewExponential(s.mean), text("exponential", "mean", duration(s.mean)), d.LogProb, d.CDF}, true
}

func shiftedExponential(s *sample) (model, bool) {
	shift := s.values[0]
	excess := s.mean - shift
	if excess <= 0 || duration(shift) == duration(s.mean) {
		return model{}, false
	}
	d := distuv.Exponential{Rate: 1 / excess}
	return model{random.NewShiftedExponential(shift, excess),
		text("shifted-exponential", "mean", duration(s.mean), "shift", duration(shift)),
		func(x float64) float64 { return d.LogProb(x - shift) }, func(x float64) float64 { return d.CDF(x - shift) }}, true
}

// gammaShape is the shape of the gamma distribution of greatest likelihood, where log(shape) - digamma(shape) is the log of the
// mean less the mean of the logs: by Newton's method in 1/shape (Minka, Estimating a Gamma distribution, 2002).
func gammaShape(s *sample) float64 {
	gap := math.Log(s.mean) - s.meanLog
	if gap <= 0 { // all values are equal but for rounding
		return math.Inf(1)
	}
	shape := (3 - gap + math.Sqrt((gap-3)*(gap-3)+24*gap)) / (12 * gap)
	for range 20 {
		change := (math.Log(shape) - mathext.Digamma(shape) - gap) / (shape - shape*shape*mathext.Zeta(2, shape))
		next := 1 / (1/shape + change)
		if !(next > 0) {
			break
		}
		done := math.Abs(next-shape) <= 1e-12*shape
		if shape = next; done {
			break
		}
	}
	return shape
}

func gammaModel(name string, s *sample, shape float64, last ...any) model {
	d := distuv.Gamma{Alpha: shape, Beta: shape / s.mean}
	return model{random.NewGamma(shape, s.mean), text(name, append([]any{"mean", duration(s.mean)}, last...)...), d.LogProb, d.CDF}
}

func gamma(s *sample) (model, bool) {
	shape := gammaShape(s)
	if shape < leastShape || shape > mostShape {
		return model{}, false
	}
	return gammaModel("gamma", s, shape, "shape", number(shape)), true
}

// erlang takes the whole shape beside that of the gamma distribution whose likelihood is greater: it is concave in the shape.
func erlang(s *sample) (model, bool) {
	shape := gammaShape(s)
	if shape > mostShape { // the bound of gamma, whose special case it is
		return model{}, false
	}
	below := max(1, math.Floor(shape))
	at := func(k float64) model { return gammaModel("erlang", s, k, "phases", int(k)) }
	best := at(below)
	if above := at(below + 1); shape > 1 && above.logLikelihood(s) > best.logLikelihood(s) {
		best = above
	}
	return best, true
}

func lognormal(s *sample) (model, bool) {
	mean, scv := math.Exp(s.meanLog+s.varianceLog/2), math.Expm1(s.varianceLog)
	if !(scv > 0) || scv > mostSCV || math.IsInf(mean, 0) {
		return model{}, false
	}
	d := distuv.LogNormal{Mu: s.meanLog, Sigma: math.Sqrt(s.varianceLog)}
	return model{random.NewLognormal(mean, scv), text("lognormal", "mean", duration(mean), "scv", number(scv)), d.LogProb, d.CDF}, true
}

// weibull solves sum(x^k log x)/sum(x^k) - 1/k = mean(log x) for the shape k, whose left side increases, by Newton's method from
// the shape that has the variance of the logs.
func weibull(s *sample) (model, bool) {
	top := s.values[len(s.values)-1] // relative to which nothing overflows
	k := math.Pi / math.Sqrt(6*s.varianceLog)
	weights := 0.0
	for range 100 {
		weights = 0
		logs, squares := 0.0, 0.0
		for _, v := range s.values {
			l := math.Log(v / top)
			w := math.Exp(k * l)
			weights, logs, squares = weights+w, logs+w*l, squares+w*l*l
		}
		mean := logs / weights
		excess := mean - 1/k - (s.meanLog - math.Log(top))
		change := excess / (squares/weights - mean*mean + 1/(k*k))
		if math.Abs(change) <= 1e-10*k {
			break
		}
		k = max(k-change, k/2)
	}
	if !(k >= leastShape && k <= mostShape) {
		return model{}, false
	}
	scale := top * math.Pow(weights/float64(len(s.values)), 1/k)
	d := distuv.Weibull{K: k, Lambda: scale}
	return model{random.NewWeibull(k, d.Mean()), text("weibull", "mean", duration(d.Mean()), "shape", number(k)), d.LogProb, d.CDF}, true
}

// uniform has the greatest likelihood between the ends of the sample.
func uniform(s *sample) (model, bool) {
	low, high := s.values[0], s.values[len(s.values)-1]
	if duration(low) == duration(high) {
		return model{}, false
	}
	d := distuv.Uniform{Min: low, Max: high}
	return model{random.NewUniform(low, high), text("uniform", "min", duration(low), "max", duration(high)), d.LogProb, d.CDF}, true
}

// Where the expectation-maximisation of a hyperexponential distribution ends.
const (
	mostSteps  = 500
	closeSteps = 1e-8 // of the log-likelihood of one value
)

// hyperexponential mixes two exponential distributions by expectation-maximisation (Dempster, Laird and Rubin, Journal of the
// Royal Statistical Society B 39, 1977), from the one with balanced means that has the sample's mean and variance. A sample
// that spreads less than an exponential one has no such mixture.
func hyperexponential(s *sample) (model, bool) {
	if s.scv <= 1 {
		return model{}, false
	}
	p := (1 + math.Sqrt((s.scv-1)/(s.scv+1))) / 2
	fast, slow := s.mean/(2*p), s.mean/(2*(1-p))
	n, last := float64(len(s.values)), math.Inf(-1)
	for range mostSteps {
		likelihood, ofFast, sumFast := 0.0, 0.0, 0.0
		for _, x := range s.values {
			a, b := p/fast*math.Exp(-x/fast), (1-p)/slow*math.Exp(-x/slow)
			likelihood += math.Log(a + b)
			ofFast += a / (a + b)
			sumFast += x * a / (a + b)
		}
		if ofFast <= 0 || ofFast >= n || likelihood-last < closeSteps*n {
			break
		}
		last, p = likelihood, ofFast/n
		fast, slow = sumFast/ofFast, (n*s.mean-sumFast)/(n-ofFast)
	}
	d, e := distuv.Exponential{Rate: 1 / fast}, distuv.Exponential{Rate: 1 / slow}
	said := math.Round(p*1e6) / 1e6
	if !(said > 0 && said < 1) || duration(fast) == duration(0) || duration(fast) == duration(slow) {
		return model{}, false
	}
	return model{random.NewHyperexponential([]float64{p, 1 - p}, []float64{fast, slow}),
		text("hyperexponential", "probabilities", "["+number(said)+", "+number(1-said)+"]",
			"means", "["+duration(fast)+", "+duration(slow)+"]"),
		func(x float64) float64 { return math.Log(p*d.Prob(x) + (1-p)*e.Prob(x)) },
		func(x float64) float64 { return p*d.CDF(x) + (1-p)*e.CDF(x) }}, true
}
