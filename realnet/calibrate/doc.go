// Package calibrate measures what real nodes cost, for a simulation of them (docs/adr/0015), by micro-experiments of its own.
//
//	c, err := calibrate.Measure(ctx, calibrate.Options{Scenario: s, Cluster: cluster, Seed: 9001, Cores: 2, Target: "local"})
//
// The nodes run already: Measure gives them slots for whatever comes and one algorithm after the other (loadgen.Configure),
// and sends requests with the load generator (loadgen.Generate). Nothing that it sends is one of the scenario's requests, and
// its seed is another.
//
// # Low load
//
// What is wanted is what a request costs where nothing is to be waited for. So requests keep a distance: gaps are uniform
// between half and one and a half times their mean, which is 20 ms, or three times as long as a request keeps a core busy
// where that is longer. With 1 to 4 ms of processor time for a request of a small cluster that is 5 to 20 % of one core, with
// hardly two requests at once. Poisson arrivals of the same rate would meet each other now and then, and that is what a
// simulation adds by itself. Records of requests that waited in a queue, or began with a cold start, are left out.
//
// # Experiments
//
// Idle: no request, but the generator looks at the nodes' loads as often as in a run of the scenario. Idle is the processor
// time of all processes then, for each node.
//
// Local (NoScheduler), probes (PowerOfNScheduler, fanout 1, threshold 0), forwards (ForwardScheduler, one hop) and, where the
// scenario's algorithm asks a learner, that algorithm send the same kind of requests in turn, in rounds of 80: Client is the
// part of the same name of local requests, the generator's lateness included; Probe is Probing of requests with one probe;
// Forward and Return are Forwarding and Returning of those with one hop that no peer refused; Act is Scheduling. Forwarding is
// half of what a ping between the nodes took when they last tried; all that the way takes beyond that is in Returning.
// Emulated links of constant latency are subtracted.
//
// Functions, one by one: those that are told their demand (sleep, loop) get long ones, up to their mean, and a quarter of
// these, in turn. Stretch is the slope of the execution time in the demand, by the estimator of Theil and Sen (Sen, JASA 63,
// 1968), or 1 where its 99 % interval has it; Call is what is left of the execution time. Of others the whole execution time
// is Service, with families fitted to it (results/fit), and Call costs nothing. A node's factor is the median of its times
// over that of all nodes, where it differs by 2 % at least, and its times from those of the others by the test of Mann and
// Whitney at 1 % after Bonferroni's correction.
//
// Slowdown: 1, 2, 4, 8 and so on executions at once, all with the same demand, several times, on all nodes of this machine in turn or, of
// nodes elsewhere, on one: the factor is the median over the times of the longest of them, over that of one by itself: that says what the
// cores did whatever the order in which they took turns. Where there is a core for each, it is their mean. The model is that of the simulator: a
// job keeps a core busy for a share u of its time, which n jobs on C cores share, and then waits; nodes and this process compute for it
// for v of its time. So it takes 1 + max(0, (u + v) n/C - u) times as long.
//
// Timer is how late precise.Clock is in waits of 0.5 to 2.5 ms. Link is what a TCP connection takes from this process to a
// node, one round trip: on this machine that is the way between nodes, elsewhere it is the way from here.
//
// # Processor time
//
// Where the nodes are processes of this machine, their processor time is read before and after each experiment, in three
// groups: the generator, which is this process, the nodes, and their descendants, which are the functions. A share of a
// function's time comes from what long demands use more than short ones.
//
// A request uses the less, the more it shares wake-ups with others: at 50 requests a second of twelve nodes one and a half
// times as much as at 200. What it uses matters where there are many. So processor time is that of experiments of their own,
// whose short requests are so dense that they keep a third of the cores busy: what each of these used that came in addition to
// those at low load. What is left of the usage at low load is what nodes do by themselves. Where requests at low load are as
// dense already, what is used without requests is subtracted.
//
// Per request, Client is the generator's and the nodes' part of a local request, the call included; Call is the functions'
// beyond the share of the service time that they compute for; Probe is what a request takes more with a probe, Forward and
// Return half each of what it takes more with a forward, each the median over the rounds. Where functions that are told their
// demand compute, all this is measured while they keep four fifths of the cores busy, as far as a thousand requests a second
// do: on idle cores threads look for work, at a cost to nobody. How a sum is divided is a convention; the sum over the parts of
// a request is what all processes used for it. Where no processes are known, processor time is 0, and the share of a function
// comes from its slowdown, by least squares.
//
// # Spreads
//
// At least 200 values make a Spread: 100 values, each the mean of a hundredth of the sorted ones, so that the mean is kept.
// Functions count by their share of the workload.
package calibrate
