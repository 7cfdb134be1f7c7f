// Package theory holds exact values of queueing and mean-field theory, and the rule by which the simulator is judged by
// them. `p2pfaas validate` runs all of it; the package's test runs a subset of every kind.
//
// # Values
//
// values/*.csv has one row per value: which case it belongs to, the parameters of the case, the metric, and where the
// value comes from. In the parameters, mu is the service rate, lam the arrival rate per node (per server where there
// is one dispatcher), c the slots of a node, K its places in all, waiting ones included. T is the mean time from
// arrival to completion of accepted requests, Wq the mean wait, L the mean number in the system per node, PB the
// probability of being refused. The unit of time is the second. Laws are written D/mean, M/mean, E/phases/mean,
// H2/mean/scv, LN/mean/cv, U/min/max, SE/shift/rate. Read takes more cases of the same kinds from a file; the mapping
// to scenarios knows nothing of particular numbers.
//
// # Experiments
//
// Each table of values has a function that turns a case into scenarios and says how to measure each metric (see tables
// in run.go). The scenarios are files like any other: Row.Scenario is the text, and `p2pfaas sim` runs it. Where a
// node works alone, up to 16 of them run side by side. Limits of infinitely many nodes are measured with 1000.
//
// A run is as long as the variance of the mean sojourn time asks for, within bounds: the relaxation time of the model
// is estimated, five of them are dropped and at least twenty measured (eight where there are many nodes), in 32
// independent replications. At a load of 0.99 the interval is wide, and honest.
//
// # Rule
//
// A value passes if the mean of the replications is within t standard errors and 0.5 % of it; see Row.judge. t is the
// quantile of Student's distribution that makes the probability of a wrong alarm anywhere in the whole run that of 3
// standard errors in one comparison. Shares below 0.001 are tested from above alone. There is no tolerance beyond
// that: what is not measured is in Exceptions, with the reason.
//
// # Measured delays
//
// ReadDelays reads mean delays of a real function that were measured at one node, Predict fits M/M/1/K to half of them and
// predicts the others, by the formula and by the simulator (`p2pfaas validate measured`). There is no verdict: what is
// measured is no exact value.
package theory
