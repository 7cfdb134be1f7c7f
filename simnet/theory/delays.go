package theory

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Measured delays of a real function, such as the first P2PFaaS published, and M/M/1/K as a model of them.

// Delays are measured mean delays of a function at one node under Poisson arrivals.
type Delays struct {
	Function string  // empty: the file does not say
	Places   int     // K, that of the request which runs included; 0: the file does not say
	Nominal  float64 // service rate per second; 0: the file does not say
	Rows     []Delay // by ascending rate
}

// Delay is the mean delay at an arrival rate.
type Delay struct {
	Rate float64 // requests per second
	Mean float64 // seconds from arrival to completion, of the requests that completed
}

// ErrDecimal says that the numbers of a file are not written as they were said to be.
var ErrDecimal = errors.New("is written with the other decimal sign")

// ReadDelays reads a comment line, as in "# pigo-face-detect k10 mi3 linux" (function, places, nominal service rate per
// second), and rows "rate delay"; blank lines are nothing. comma says that decimals have a comma: whether "1,5" is one
// and a half is not guessed. The error joins the first problems.
func ReadDelays(from io.Reader, comma bool) (*Delays, error) {
	d := &Delays{}
	var problems []error
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		if about, ok := strings.CutPrefix(text, "#"); ok {
			d.describe(about, comma)
			continue
		}
		row, err := readDelay(text, comma)
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", n, err))
		}
		d.Rows = append(d.Rows, row)
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, err)
	}
	if len(d.Rows) < leastRows {
		problems = append(problems, fmt.Errorf("there are %d rows: at least %d are needed, half of them for the fit", len(d.Rows), leastRows))
	}
	if more := len(problems) - mostProblems; more > 0 {
		problems = append(problems[:mostProblems], fmt.Errorf("and %d more lines", more))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.Rows, func(a, b Delay) int { return cmp.Compare(a.Rate, b.Rate) })
	return d, nil
}

const (
	leastRows    = 4
	mostProblems = 3 // that are told: what is wrong in one line mostly is in all
)

var placesWord, nominalWord = regexp.MustCompile(`^k([0-9]{1,6})$`), regexp.MustCompile(`^mi([0-9]+(?:[.,][0-9]+)?)$`)

// describe takes what a comment says, as far as it is of that form.
func (d *Delays) describe(about string, comma bool) {
	words := strings.Fields(about)
	for i, w := range words {
		if m := placesWord.FindStringSubmatch(w); m != nil {
			d.Places, _ = strconv.Atoi(m[1]) // digits alone
		} else if m := nominalWord.FindStringSubmatch(w); m != nil {
			if mu, err := decimal(m[1], comma); err == nil {
				d.Nominal = mu
			}
		} else if i == 0 {
			d.Function = w
		}
	}
}

func readDelay(text string, comma bool) (d Delay, err error) {
	cells := strings.Fields(text)
	if len(cells) != 2 {
		return d, fmt.Errorf("%.40q has %d columns: write the rate and the delay, with a blank between them", text, len(cells))
	}
	if d.Rate, err = decimal(cells[0], comma); err == nil {
		d.Mean, err = decimal(cells[1], comma)
	}
	return d, err
}

// decimal reads a number above 0.
func decimal(text string, comma bool) (float64, error) {
	own, other := ".", ","
	if comma {
		own, other = ",", "."
	}
	if strings.Contains(text, other) {
		return 0, fmt.Errorf("%.40q %w", text, ErrDecimal)
	}
	v, err := strconv.ParseFloat(strings.Replace(text, own, ".", 1), 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%.40q is not a number above 0", text)
	}
	return v, nil
}

// sojourn is the mean time that an accepted request of M/M/1/K spends in the system: it finds n others with a probability in
// proportion to (lam/mu)^n (n < K), since Poisson arrivals see time averages, and stays for n+1 services.
func sojourn(lam, mu float64, places int) float64 {
	rho, weight := lam/mu, 1.0
	sum, services := 0.0, 0.0
	if rho <= 1 {
		for n := range places {
			sum, services = sum+weight, services+weight*float64(n+1)
			weight *= rho
		}
	} else {
		for n := places - 1; n >= 0; n-- { // from the most likely one: no power overflows
			sum, services = sum+weight, services+weight*float64(n+1)
			weight /= rho
		}
	}
	return services / sum / mu
}

// fit is the service rate for which the logarithms of sojourn are nearest to those of what was measured, by least squares.
// A mean over so many requests is off by a share of itself: delays vary as much as they are long. So it is relative errors
// that are alike over the rates, and half as long is as wrong as twice as long.
func fit(rows []Delay, places int) float64 {
	lo, hi := math.Inf(1), 0.0 // below and above, all errors have one sign
	for _, d := range rows {
		mu := rateOf(d, places)
		lo, hi = min(lo, mu), max(hi, mu)
	}
	loss := func(logMu float64) float64 {
		sum, mu := 0.0, math.Exp(logMu)
		for _, d := range rows {
			e := math.Log(sojourn(d.Rate, mu, places) / d.Mean)
			sum += e * e
		}
		return sum
	}
	// Between them there may be several minima: the best of a grid is near the least one.
	const cells = 200
	from, step := math.Log(lo), math.Log(hi/lo)/cells
	best := from
	for i := range cells + 1 {
		if x := from + float64(i)*step; loss(x) < loss(best) {
			best = x
		}
	}
	a, b := best-step, best+step
	for range 100 { // thirds: each time the better two remain
		x, y := a+(b-a)/3, b-(b-a)/3
		if loss(x) < loss(y) {
			b = y
		} else {
			a = x
		}
	}
	return math.Exp((a + b) / 2)
}

// rateOf is the service rate at which sojourn is what was measured; it falls as the service rate grows.
func rateOf(d Delay, places int) float64 {
	lo, hi := 1/d.Mean, float64(places)/d.Mean // a request stays for one service at least, for K at most
	for range 100 {
		mu := (lo + hi) / 2
		if sojourn(d.Rate, mu, places) > d.Mean {
			lo = mu
		} else {
			hi = mu
		}
	}
	return (lo + hi) / 2
}
