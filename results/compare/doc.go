// Package compare says how far two runs of a scenario are apart, and why.
//
//	margins, err := compare.ParseMargins("p95=5%", "drop_rate=1pp")
//	c, err := compare.Runs(a, b, compare.Options{Margins: compare.Margins(margins...)})
//	for _, e := range c.Exceeded() { ... } // the margins that were stated and are exceeded
//
// A, the first run, is the reference; differences are B minus A, ratios B over A. Both need the records of all their requests.
// Points are compared that have the same label in both.
//
// # Pairs
//
// Two runs of one seed and scenario have the same tasks: equal in number, arrival, entry node, function and demand. Where 99 %
// of them are, the point is paired: blocks of the same tasks are resampled on both sides, so that what is common to them
// cancels. Otherwise the sides are independent, and a note says in what their tasks differ. A metric is that of a side's own
// requests in any case, as the summary has it: the mean over the replications.
//
// # Intervals
//
// Metrics, parts and distances have 90 % intervals of a block bootstrap, since requests are not independent. A percentile that
// fewer than results.FewestBeyond requests of a replication are beyond has none.
//
// # Verdicts
//
// An interval within the margin says equivalent, one outside of it different, any other undecided: two one-sided tests at 5 %.
// A margin is exceeded where the difference itself is beyond it. A verdict rests on the requests of the runs: how much real runs
// differ from each other is in no interval. Of a repetition (Comparison.Floor) reports say at which points that casts doubt on
// the verdicts.
//
// # Distances
//
// They compare the whole distributions of latency. Samples of one distribution are some distance apart, too: in one of twenty
// cases as far as Chance, by the resamples that the intervals are of. What is not above that cannot be told from chance.
//
// # Causes
//
// What explains a gap is looked for in the records, in quantities in which waiting plays no role: how long a demand takes to
// execute and what a call costs beyond it (service-time, call), cold starts (cold-start), messages between nodes (link), how
// many requests a node executes and lets wait (slots, queue), what clients and decisions take (client, scheduling), when
// requests come and leave the load generator (arrivals); and, where none of these differs, what was decided (decisions). A
// cause is told where a 99 % interval excludes equality and the difference is of some size: 1 % of a service time, or 0.5 % of
// the mean latency. That there is none does not say that the sides are equal.
//
// Causes are ranked by a first-order estimate of what they explain. What one does explain is seen when the simulation is
// repeated with it put right.
package compare
