package theory

import (
	"context"
	"fmt"
	"math"

	"github.com/p2pfaas/p2pfaas/results"
)

// Prediction is what M/M/1/K says of measured delays, once by its formula and once simulated. Its service rate is fitted to the
// half of the rows with the lower rates; the others are predicted. Errors are relative, predicted/measured - 1: they have in
// them what is wrong with the model and what is wrong with the measurement, which nobody can tell apart row by row.
type Prediction struct {
	Function  string         `json:"function,omitempty"`
	Places    int            `json:"places"`                 // K, that of the request which runs included
	Nominal   float64        `json:"nominal_rate,omitempty"` // of service, per second, as the file has it; 0: it does not say
	Fitted    float64        `json:"fitted_rate"`            // of service, per second
	Rows      []PredictedRow `json:"rows"`                   // by ascending rate
	Fit       Accuracy       `json:"fit"`                    // of the rows that were fitted
	Predicted Accuracy       `json:"predicted"`              // of the others
	// Agree counts the rows in which the interval of the simulation contains the formula: about 95 % of them, if it simulates
	// that model.
	Agree int `json:"agree"`
}

// PredictedRow is a row with its predictions, in seconds.
type PredictedRow struct {
	Rate      float64 `json:"rate"`
	Fit       bool    `json:"fit"` // the row is one of those that were fitted
	Measured  float64 `json:"measured"`
	Formula   float64 `json:"formula"`
	Simulated float64 `json:"simulated"` // mean over the replications
	Interval  float64 `json:"interval"`  // half-width of its 95 % interval, by Student's distribution
	Scenario  string  `json:"scenario"`  // the scenario file that was simulated
}

// Accuracy is that of some rows.
type Accuracy struct {
	Rows      int    `json:"rows"`
	Formula   Errors `json:"formula"`
	Simulated Errors `json:"simulated"`
}

// Errors are relative errors, summed up.
type Errors struct {
	Mean   float64 `json:"mean"`   // of their absolute values
	Worst  float64 `json:"worst"`  // the one with the largest absolute value
	At     float64 `json:"at"`     // the rate of that
	Bias   float64 `json:"bias"`   // their mean: the systematic part
	Spread float64 `json:"spread"` // their standard deviation: what is left of them without the bias
	Above  int     `json:"above"`  // rows that are predicted too long
}

// Formula is the mean delay at a rate, in seconds.
func (p *Prediction) Formula(rate float64) float64 { return sojourn(rate, p.Fitted, p.Places) }

// Split is the rate halfway between the last row that was fitted and the first one that was predicted.
func (p *Prediction) Split() float64 {
	return (p.Rows[p.Fit.Rows-1].Rate + p.Rows[p.Fit.Rows].Rate) / 2
}

// mostPlaces of a node: the formula is a sum over them.
const mostPlaces = 10_000

// predicting is less than fast: what is measured is known to some per cent.
var predicting = effort{replications: 16, least: 1e5, most: 1e6, precision: 0.05}

// Predict fits M/M/1/K with so many places to the half of the rows with the lower rates, and predicts the others. Of o it takes
// Workers, Seed and Progress. The error is an *InputError, or tells what went wrong in a simulation.
func Predict(ctx context.Context, d *Delays, places int, o Options) (*Prediction, error) {
	if places < 1 || places > mostPlaces {
		return nil, &InputError{fmt.Errorf("%d places: between 1, that of the request which runs, and %d are possible", places, mostPlaces)}
	}
	half := (len(d.Rows) + 1) / 2
	p := &Prediction{Function: d.Function, Places: places, Nominal: d.Nominal, Fitted: fit(d.Rows[:half], places)}
	var todo plan
	for i, r := range d.Rows {
		m := queue(r.Rate, exponential(1/p.Fitted), 1, places)
		m.nodes = 1
		x, err := newExperiment(&Case{ID: "measured", Model: fmt.Sprintf("M/M/1/%d", places),
			Params: fmt.Sprintf("lam=%g;mu=%g", r.Rate, p.Fitted)}, &m, m.body(predicting, o.Seed))
		if err != nil {
			return nil, &InputError{fmt.Errorf("rate %g: %w", r.Rate, err)}
		}
		x.estimators = []estimator{m.measures["T"]}
		x.values = [][]float64{make([]float64, x.scenario.Replications)}
		todo.experiments = append(todo.experiments, x)
		p.Rows = append(p.Rows, PredictedRow{Rate: r.Rate, Fit: i < half, Measured: r.Mean, Formula: p.Formula(r.Rate),
			Scenario: x.text})
	}
	if err := todo.simulate(ctx, o); err != nil {
		return nil, err
	}
	for i, x := range todo.experiments {
		r, s := &p.Rows[i], results.Student(x.values[0], results.Confidence)
		r.Simulated, r.Interval = s.Mean, s.Half
		if math.Abs(r.Simulated-r.Formula) <= r.Interval {
			p.Agree++
		}
	}
	p.Fit, p.Predicted = accuracy(p.Rows[:half]), accuracy(p.Rows[half:])
	return p, nil
}

func accuracy(rows []PredictedRow) Accuracy {
	return Accuracy{Rows: len(rows), Formula: errorsOf(rows, func(r *PredictedRow) float64 { return r.Formula }),
		Simulated: errorsOf(rows, func(r *PredictedRow) float64 { return r.Simulated })}
}

func errorsOf(rows []PredictedRow, predicted func(*PredictedRow) float64) (e Errors) {
	squares := 0.0
	for i := range rows {
		r := &rows[i]
		x := predicted(r)/r.Measured - 1
		if math.Abs(x) > math.Abs(e.Worst) {
			e.Worst, e.At = x, r.Rate
		}
		if x > 0 {
			e.Above++
		}
		e.Mean += math.Abs(x)
		e.Bias += x
		squares += x * x
	}
	n := float64(len(rows))
	e.Mean, e.Bias = e.Mean/n, e.Bias/n
	e.Spread = math.Sqrt(max(0, squares-n*e.Bias*e.Bias) / (n - 1))
	return e
}
