package problem

import (
	"slices"
	"strings"
	"testing"
)

// Every table can be parsed and is tested.
func TestTables(t *testing.T) {
	for _, name := range Tables() {
		if !slices.ContainsFunc(cases, func(c struct{ table, params string }) bool { return c.table == name }) {
			t.Errorf("there is no case of %s", name)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		table, params string
		want          []string
	}{
		{"NAOT", "", []string{`there is no problem "NAOT"; there are NAOR, `, "TWONODE", "MOUNTAINCAR"}},
		{"NAOR", "lam=0.5;mu=1;C=1", []string{"NAOR: R is missing"}},
		{"NAOR", "lam=x;mu=-1;R=4;C=0", []string{`lam is "x"; it must be a number`}},
		{"NAOR", "lam=1;mu=-1;R=4;C=0", []string{"mu is -1; it must be a number above 0", "; K is 0; it must be between 1 and 1000"}},
		{"NAOR", "lam=1;mu=1;R=4;C=1;k=3", []string{`there is no parameter "k"; there are K, `}},
		{"NAOR", "lam=1;lam=2;mu=1;R=4;C=1", []string{"lam is given twice"}},
		{"NAOR", "lam=1;mu=1;R=1e300;C=1e-300", []string{"K is "}},
		{"NAOR", "lam=1;mu=1;R=NaN;C=1", []string{`R is "NaN"; it must be a number`}},
		{"ACCESS", "servers=0;p_free=2;prios=1/2;probs=0.5/0.6;assigned_can_free_same_step=1",
			[]string{"servers is 0", "p_free is 2; it must be a probability above 0", "sum of probs is 1.1; it must be 1"}},
		{"ACCESS", "servers=3;p_free=0.1;prios=1/2;probs=1;assigned_can_free_same_step=2",
			[]string{`assigned_can_free_same_step is "2"; it must be 0 or 1`}},
		{"ACCESS", "servers=3;p_free=0.1;prios=1/2;probs=1;assigned_can_free_same_step=0",
			[]string{"probs is [1]; it must be one probability for each of prios"}},
		{"DEADMDP", "lam=1;mu=1;K=3.5;D=0;r_cloud=0", []string{`K is "3.5"; it must be a whole number`}},
		{"DEADMDP", "lam=1;mu=1;K=3;D=0;r_cloud=0", []string{"D is 0"}},
		{"TWONODE", "lam1=0;lam2=0;mu1=1;mu2=1;K=31;R=1;h=0;f=-1",
			[]string{"lam1+lam2 is 0", "K is 31; it must be between 1 and 30", "f is -1; it must be a number of 0 or more"}},
		{"WINDY", "wind=00x;start=3;goal=3,7", []string{`wind is "00x"; it must be a digit for each column`, `start is "3"; it must be row,column`}},
		{"WINDY", "wind=000;start=3,1;goal=3,7;moves=5",
			[]string{"goal is {3 7}; it must be a cell of the grid", "moves is 5; it must be 4, 8 (King's moves) or 9 (and to stay)"}},
		{"CLIFF", "eps=2", []string{"eps is 2; it must be between 0 and 1"}},
		{"RW5", "states=4", []string{"states is 4; it must be an odd number below 1000"}},
		{"TB", "k=0", []string{"k is 0; it must be between 1 and 1000"}},
		{"LAIROB", "arms=0.5/1.5", []string{"arms is 1.5; it must be between 0 and 1"}},
		{"LAIROB", "0.5/1.5", []string{`"0.5/1.5" is not name=value`, "arms is missing"}},
		{"MOUNTAINCAR", "x=1", []string{`there is no parameter "x"; there are none`}},
	} {
		p, err := Parse(c.table, c.params)
		if err == nil {
			t.Errorf("%s %s: no error, but %v", c.table, c.params, p)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: the error is\n%s\nwant in it\n%s", c.table, c.params, err, want)
			}
		}
	}
}
