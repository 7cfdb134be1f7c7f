package problem

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// figures are exact values of a case, computed by solvers of their own: Howard policy iteration of the uniformised chain,
// closed formulas, breadth-first search.
type figures struct {
	id, params string
	values     map[string]float64
}

// compare computes every figure of the cases of a table.
func compare(t *testing.T, table string, cases []figures, compute func(p Finite, m *Model) map[string]float64) {
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			p, err := Parse(table, c.params)
			if err != nil {
				t.Fatal(err)
			}
			f := p.(Finite)
			got := compute(f, f.Model())
			for name, want := range c.values {
				x, ok := got[name]
				if !ok || math.Abs(x-want) > 1e-8*(1+math.Abs(want)) {
					t.Errorf("%s is %.9g, want %.9g", name, x, want)
				}
			}
		})
	}
}

// threshold is the policy that takes action a where fewer than n jobs are there, otherwise action b.
func threshold(m *Model, n float64, a, b int) Policy {
	return m.Deterministic(func(s []float64) int {
		if s[0] < n {
			return a
		}
		return b
	})
}

func TestAccessControlFigures(t *testing.T) {
	compare(t, "ACCESS", figuresAccess, func(p Finite, m *Model) map[string]float64 {
		best := m.Solve()
		got := map[string]float64{
			"gain_opt":            best.Gain,
			"gain_accept_all":     m.Evaluate(m.Deterministic(func([]float64) int { return 1 })).Gain,
			"gain_uniform_random": m.Evaluate(m.Uniform()).Gain,
			"gain_only_top_priority": m.Evaluate(m.Deterministic(func(s []float64) int {
				if s[1] == 8 {
					return 1
				}
				return 0
			})).Gain,
		}
		for _, epsilon := range []float64{0.01, 0.05, 0.1, 0.2} {
			got[fmt.Sprint("gain_best_epsgreedy_", epsilon)] = m.EpsilonGreedy(epsilon).Gain
		}
		for i := len(m.States) - 1; i >= 0; i-- { // 0: never
			name := fmt.Sprint("min_free_to_accept_prio", m.States[i][1])
			if best.Policy.Action(i) == 1 {
				got[name] = m.States[i][0]
			} else {
				got[name] += 0
			}
		}
		return got
	})
}

// The advantage of accepting a customer of one priority, by free servers and index of the priority.
func TestAccessControlAdvantages(t *testing.T) {
	m := model(t, "ACCESS", figuresAccess[0].params)
	q := m.Solve().Q
	for _, c := range []struct {
		free, priority int
		want           float64
	}{{1, 0, -2.95616835}, {1, 2, 0.04383165}, {3, 1, -0.19615519}, {4, 1, 0.15033815}, {10, 0, -0.00314407}, {10, 3, 6.99685593}} {
		i := c.free*4 + c.priority
		near(t, fmt.Sprint("the advantage in ", m.States[i]), q[i][1]-q[i][0], c.want)
	}
}

func TestNaorFigures(t *testing.T) {
	compare(t, "NAOR", figuresNaor, func(f Finite, m *Model) map[string]float64 {
		p := f.(*Naor)
		best := m.Solve()
		n := 0
		for best.Policy.Action(n) == 1 {
			n++
		}
		// A monopolist takes the toll that keeps out those who find n jobs, and all of what is left of R at n-1.
		toll, revenue := 0, 0.0
		for n := 1; n <= p.Individual(); n++ {
			q := *p
			q.Reward, q.Cost = p.Reward-p.Cost*float64(n)/p.Mu, 0
			if gain := q.Model().Evaluate(threshold(m, float64(n), 1, 0)).Gain; gain > revenue+1e-12 {
				toll, revenue = n, gain
			}
		}
		gain := func(n int) float64 { return m.Evaluate(threshold(m, float64(n), 1, 0)).Gain }
		near(t, "gain per decision", m.PerDecision().Solve().Gain*p.Lambda, best.Gain)
		return map[string]float64{
			"n_individual":       float64(p.Individual()),
			"n_social":           float64(n),
			"n_revenue":          float64(toll),
			"gain_social":        best.Gain,
			"gain_at_individual": gain(p.Individual()),
			"gain_at_revenue":    gain(toll),
			"revenue":            revenue,
		}
	})
}

func TestDeadlineFigures(t *testing.T) {
	compare(t, "DEADMDP", figuresDeadmdp, func(_ Finite, m *Model) map[string]float64 {
		d := m.PerDecision()
		best := d.Solve()
		n := 0
		for best.Policy.Action(n) == 1 {
			n++
		}
		return map[string]float64{
			"gain_per_arrival":         best.Gain,
			"gain_per_time":            m.Solve().Gain,
			"local_threshold":          float64(n),
			"gain_always_local":        d.Evaluate(threshold(m, math.Inf(1), 1, 1)).Gain,
			"gain_always_cloud":        d.Evaluate(threshold(m, math.Inf(1), 2, 2)).Gain,
			"gain_best_epsgreedy_0_05": d.EpsilonGreedy(0.05).Gain,
			"gain_best_epsgreedy_0_1":  d.EpsilonGreedy(0.1).Gain,
		}
	})
}

// Of DEADMDP-P002, with 1 and 9 jobs.
func TestDeadlineAdvantages(t *testing.T) {
	q := model(t, "DEADMDP", figuresDeadmdp[1].params).PerDecision().Solve().Q
	near(t, "to run a job after 1, rather than not", q[1][1]-q[1][0], -0.51500015+0.95021293)
	near(t, "to run a job after 9, rather than not", q[9][1]-q[9][0], -4.23986094+3.87532448)
	near(t, "to send it to the cloud", q[9][2]-q[9][0], 0.3)
}

// elsewhere is what a rule does that looks at the own node and the other: forward, or run here.
func elsewhere(m *Model, forward func(own, other float64, at int) bool) Policy {
	return m.Deterministic(func(s []float64) int {
		at := int(s[2])
		if forward(s[at-1], s[2-at], at) {
			return 3 - at
		}
		return at
	})
}

func TestTwoNodesFigures(t *testing.T) {
	compare(t, "TWONODE", figuresTwonode, func(f Finite, m *Model) map[string]float64 {
		p := f.(*TwoNodes)
		coin := m.Uniform()
		for i := range coin {
			coin[i] = []float64{0, 0.5, 0.5}
		}
		got := map[string]float64{
			"gain_opt_per_time":    m.Solve().Gain,
			"gain_opt_per_arrival": m.PerDecision().Solve().Gain,
			"gain_local":           m.Evaluate(elsewhere(m, func(_, _ float64, _ int) bool { return false })).Gain,
			"gain_random":          m.Evaluate(coin).Gain,
			"gain_JSQ":             m.Evaluate(elsewhere(m, func(own, other float64, _ int) bool { return other < own })).Gain,
			"gain_SED": m.Evaluate(elsewhere(m, func(own, other float64, at int) bool {
				return (other+1)/p.Mu[2-at] < (own+1)/p.Mu[at-1]
			})).Gain,
		}
		for probe := range 4 {
			got[fmt.Sprint("gain_LL1_T", probe)] = m.Evaluate(elsewhere(m, func(own, other float64, _ int) bool {
				return own >= float64(probe) && other < own
			})).Gain
		}
		return got
	})
}

// The optimal actions for an arrival at node 1 and one at node 2, by the jobs in node 1 (rows) and node 2 (columns).
func TestTwoNodesPolicy(t *testing.T) {
	m := model(t, "TWONODE", figuresTwonode[0].params)
	p := m.Solve().Policy
	var got []string
	for row := range 7 {
		line := ""
		for i := row * 14; i < row*14+14; i += 2 {
			line += fmt.Sprintf("%d/%d ", p.Action(i), p.Action(i+1))
		}
		got = append(got, line)
	}
	want := []string{
		"1/2 1/2 1/2 1/1 1/1 1/1 1/1 ",
		"2/2 1/2 1/2 1/2 1/1 1/1 1/1 ",
		"2/2 1/2 1/2 1/2 1/2 1/2 1/1 ",
		"2/2 2/2 1/2 1/2 1/2 1/2 1/1 ",
		"2/2 2/2 2/2 1/2 1/2 1/2 1/1 ",
		"2/2 2/2 2/2 2/2 1/2 1/2 1/1 ",
		"2/2 2/2 2/2 2/2 2/2 2/2 0/0 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWindyFigures(t *testing.T) {
	for moves, want := range map[string]float64{"4": 15, "8": 7, "9": 7} {
		m := model(t, "WINDY", "wind=0001112210;start=3,0;goal=3,7;moves="+moves)
		near(t, "the return with moves "+moves, m.Solve().Return, -want)
	}
}

func TestCliffFigures(t *testing.T) {
	compare(t, "CLIFF", []figures{{"CLIFF-P001", "eps=0.1", map[string]float64{
		"opt_return": -13, "opt_epssoft_return": -20.7076774, "edge_path_under_eps": -51.8131879,
		"middle_path_under_eps": -21.0533681, "safe_top_path_under_eps": -22.2728167,
	}}}, func(_ Finite, m *Model) map[string]float64 {
		along := func(lane float64) float64 { // to this row, to the right, and down the last column
			return m.Evaluate(m.Deterministic(func(s []float64) int {
				switch {
				case s[1] == cliffCols-1 || s[0] < lane:
					return 2
				case s[0] > lane:
					return 0
				}
				return 1
			}).Explore(0.1)).Return
		}
		return map[string]float64{
			"opt_return":              m.Solve().Return,
			"opt_epssoft_return":      m.EpsilonGreedy(0.1).Return,
			"edge_path_under_eps":     along(2),
			"middle_path_under_eps":   along(1),
			"safe_top_path_under_eps": along(0),
		}
	})
}

func TestRandomWalkFigures(t *testing.T) {
	for i, v := range model(t, "RW5", "").Solve().Values {
		near(t, fmt.Sprint("the value of state ", i+1), v, float64(i+1)/6)
	}
}

func TestBernoulliFigures(t *testing.T) {
	compare(t, "LAIROB", []figures{
		{"LAIROB-P001", "arms=0.9/0.8", map[string]float64{"C": 2.2520997, "gain": 0.9}},
		{"LAIROB-P002", "arms=0.9/0.8/0.7/0.6", map[string]float64{"C": 4.5175347, "gain": 0.9}},
		{"LAIROB-P003", "arms=0.5/0.45/0.4", map[string]float64{"C": 14.9496439, "gain": 0.5}},
		{"certain", "arms=1/0", map[string]float64{"C": 0, "gain": 1}},
	}, func(p Finite, m *Model) map[string]float64 {
		return map[string]float64{"C": p.(*Bernoulli).LaiRobbins(), "gain": m.Solve().Gain}
	})
}

func TestTestbedFigures(t *testing.T) {
	near(t, "the best of 10 arms", (&Testbed{Arms: 10}).Optimum(), 1.53875273)
	near(t, "of 2", (&Testbed{Arms: 2}).Optimum(), 1/math.Sqrt(math.Pi))
	near(t, "of 1", (&Testbed{Arms: 1}).Optimum(), 0)
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-8*(1+math.Abs(want))) {
		t.Errorf("%s is %.9g, want %.9g", what, got, want)
	}
}

func model(t *testing.T, table, params string) *Model {
	t.Helper()
	p, err := Parse(table, params)
	if err != nil {
		t.Fatal(err)
	}
	return p.(Finite).Model()
}

var figuresAccess = []figures{
	{"ACCESS-P001", "servers=10;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=1", map[string]float64{
		"gain_opt": 2.74764195, "gain_best_epsgreedy_0.01": 2.73759029, "gain_best_epsgreedy_0.05": 2.69733358,
		"gain_best_epsgreedy_0.1": 2.64689437, "gain_best_epsgreedy_0.2": 2.54558251, "gain_accept_all": 2.18141272,
		"gain_uniform_random": 1.69824236, "gain_only_top_priority": 1.99495976, "min_free_to_accept_prio1": 0,
		"min_free_to_accept_prio2": 4, "min_free_to_accept_prio4": 1, "min_free_to_accept_prio8": 1,
	}},
	{"ACCESS-P002", "servers=10;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=0", map[string]float64{
		"gain_opt": 2.67319221, "gain_best_epsgreedy_0.01": 2.66258947, "gain_best_epsgreedy_0.05": 2.62030845,
		"gain_best_epsgreedy_0.1": 2.56973866, "gain_best_epsgreedy_0.2": 2.47168579, "gain_accept_all": 2.06997434,
		"gain_uniform_random": 1.65733798, "gain_only_top_priority": 1.99239996, "min_free_to_accept_prio1": 0,
		"min_free_to_accept_prio2": 4, "min_free_to_accept_prio4": 2, "min_free_to_accept_prio8": 1,
	}},
	{"ACCESS-P003", "servers=5;p_free=0.1;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=1", map[string]float64{
		"gain_opt": 2.32907114, "gain_best_epsgreedy_0.01": 2.32038644, "gain_best_epsgreedy_0.05": 2.28563822,
		"gain_best_epsgreedy_0.1": 2.24218098, "gain_best_epsgreedy_0.2": 2.15528671, "gain_accept_all": 1.81898929,
		"gain_uniform_random": 1.45343496, "gain_only_top_priority": 1.91561176, "min_free_to_accept_prio1": 0,
		"min_free_to_accept_prio2": 4, "min_free_to_accept_prio4": 1, "min_free_to_accept_prio8": 1,
	}},
}

var figuresNaor = []figures{
	{"NAOR-P001", "lam=0.5;mu=1;R=4;C=1", map[string]float64{
		"n_individual": 4, "n_social": 2, "n_revenue": 1, "gain_social": 1.14285714, "gain_at_individual": 1.09677419,
		"gain_at_revenue": 1, "revenue": 1,
	}},
	{"NAOR-P002", "lam=0.8;mu=1;R=5;C=1", map[string]float64{
		"n_individual": 5, "n_social": 2, "n_revenue": 1, "gain_social": 2.09836066, "gain_at_individual": 1.77638997,
		"gain_at_revenue": 1.77777778, "revenue": 1.77777778,
	}},
	{"NAOR-P003", "lam=0.9;mu=1;R=10;C=1", map[string]float64{
		"n_individual": 10, "n_social": 4, "n_revenue": 2, "gain_social": 5.76777124, "gain_at_individual": 4.57323582,
		"gain_at_revenue": 5.3800738, "revenue": 5.04797048,
	}},
	{"NAOR-P004", "lam=1.2;mu=1;R=10;C=1", map[string]float64{
		"n_individual": 10, "n_social": 3, "n_revenue": 2, "gain_social": 6.41132638, "gain_at_individual": 2.97825338,
		"gain_at_revenue": 6.13186813, "revenue": 5.8021978,
	}},
	{"NAOR-P005", "lam=0.9;mu=1;R=20;C=1", map[string]float64{
		"n_individual": 20, "n_social": 6, "n_revenue": 4, "gain_social": 13.5839952, "gain_at_individual": 11.3343871,
		"gain_at_revenue": 13.3258284, "revenue": 12.0928915,
	}},
}

var figuresDeadmdp = []figures{
	{"DEADMDP-P001", "lam=0.8;mu=1;K=10;D=3.0;r_cloud=0.0", map[string]float64{
		"gain_per_arrival": 0.663974479, "gain_per_time": 0.531179583, "local_threshold": 3,
		"gain_always_local": 0.493578679, "gain_always_cloud": 0, "gain_best_epsgreedy_0_05": 0.652585466,
		"gain_best_epsgreedy_0_1": 0.640616725,
	}},
	{"DEADMDP-P002", "lam=0.9;mu=1;K=10;D=3.0;r_cloud=0.3", map[string]float64{
		"gain_per_arrival": 0.706265493, "gain_per_time": 0.635638944, "local_threshold": 2,
		"gain_always_local": 0.377692782, "gain_always_cloud": 0.3, "gain_best_epsgreedy_0_05": 0.694198961,
		"gain_best_epsgreedy_0_1": 0.681863165,
	}},
	{"DEADMDP-P003", "lam=0.9;mu=1;K=10;D=3.0;r_cloud=0.6", map[string]float64{
		"gain_per_arrival": 0.795933389, "gain_per_time": 0.716340051, "local_threshold": 2,
		"gain_always_local": 0.377692782, "gain_always_cloud": 0.6, "gain_best_epsgreedy_0_05": 0.782203559,
		"gain_best_epsgreedy_0_1": 0.768361719,
	}},
	{"DEADMDP-P004", "lam=1.5;mu=1;K=10;D=5.0;r_cloud=0.5", map[string]float64{
		"gain_per_arrival": 0.749495814, "gain_per_time": 1.12424372, "local_threshold": 3,
		"gain_always_local": 0.120400482, "gain_always_cloud": 0.5, "gain_best_epsgreedy_0_05": 0.738546299,
		"gain_best_epsgreedy_0_1": 0.727421944,
	}},
	{"DEADMDP-P005", "lam=0.9;mu=1;K=10;D=2.0;r_cloud=0.0", map[string]float64{
		"gain_per_arrival": 0.516331901, "gain_per_time": 0.464698711, "local_threshold": 2,
		"gain_always_local": 0.264167454, "gain_always_cloud": 0, "gain_best_epsgreedy_0_05": 0.50768805,
		"gain_best_epsgreedy_0_1": 0.498717385,
	}},
}

var figuresTwonode = []figures{
	{"TWONODE-P001", "lam1=0.8;lam2=0.3;mu1=1;mu2=1;K=6;R=1;h=0.05;f=0.1", map[string]float64{
		"gain_opt_per_time": 0.987286867, "gain_local": 0.918299859, "gain_random": 0.920381522, "gain_JSQ": 0.982960589,
		"gain_SED": 0.982960589, "gain_LL1_T0": 0.982960589, "gain_LL1_T1": 0.982960589, "gain_LL1_T2": 0.984758311,
		"gain_LL1_T3": 0.981084796, "gain_opt_per_arrival": 0.897533515,
	}},
	{"TWONODE-P002", "lam1=0.9;lam2=0.9;mu1=1;mu2=1;K=6;R=1;h=0.05;f=0.1", map[string]float64{
		"gain_opt_per_time": 1.4300388, "gain_local": 1.35839952, "gain_random": 1.27756751, "gain_JSQ": 1.41019186,
		"gain_SED": 1.41019186, "gain_LL1_T0": 1.41019186, "gain_LL1_T1": 1.41019186, "gain_LL1_T2": 1.40815013,
		"gain_LL1_T3": 1.40306309, "gain_opt_per_arrival": 0.794465999,
	}},
	{"TWONODE-P003", "lam1=1.4;lam2=0.0;mu1=1;mu2=1;K=6;R=1;h=0.05;f=0.0", map[string]float64{
		"gain_opt_per_time": 1.25269701, "gain_local": 0.746394774, "gain_random": 1.17564119, "gain_JSQ": 1.25269701,
		"gain_SED": 1.25269701, "gain_LL1_T0": 1.25269701, "gain_LL1_T1": 1.25269701, "gain_LL1_T2": 1.23961878,
		"gain_LL1_T3": 1.2158673, "gain_opt_per_arrival": 0.894783582,
	}},
	{"TWONODE-P004", "lam1=0.9;lam2=0.6;mu1=1;mu2=2;K=6;R=1;h=0.05;f=0.05", map[string]float64{
		"gain_opt_per_time": 1.40552427, "gain_local": 1.2575415, "gain_random": 1.29777451, "gain_JSQ": 1.39908194,
		"gain_SED": 1.3970444, "gain_LL1_T0": 1.39908194, "gain_LL1_T1": 1.39908194, "gain_LL1_T2": 1.39509353,
		"gain_LL1_T3": 1.38407634, "gain_opt_per_arrival": 0.93701618,
	}},
	{"TWONODE-P005", "lam1=1.2;lam2=0.2;mu1=1;mu2=1;K=4;R=1;h=0.0;f=0.2", map[string]float64{
		"gain_opt_per_time": 1.28944559, "gain_local": 1.06536421, "gain_random": 1.15090693, "gain_JSQ": 1.26579933,
		"gain_SED": 1.26579933, "gain_LL1_T0": 1.26579933, "gain_LL1_T1": 1.26579933, "gain_LL1_T2": 1.27801177,
		"gain_LL1_T3": 1.28571021, "gain_opt_per_arrival": 0.921032562,
	}},
}
