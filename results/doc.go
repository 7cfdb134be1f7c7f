// Package results is what comes out of a run, the same in simulation and in reality: a record per request, statistics
// with honest intervals, figures fit for a paper, a report, and the comparison of runs.
//
// # From requests to a summary
//
// A host gives every request that ends, as a [Record], to the [Window] of its replication, the measured part, which has a
// [Tally]. A tally holds counts, exact sums and histograms per function; what it says is named ([Definitions]): latency.mean, latency.p95, drop_rate, or
// drop_rate[face-detect] of one function. With what nodes did ([NodeStat]) and how the load went ([Series]) it is a
// [Replication]; replications of one setting of the sweep are a [Point]; all points are a [Run].
//
//	window := results.NewWindow(warmup, duration, 0, "face-detect")
//	window.Add(&record) // 20 ns, no allocation
//	p95, ok := window.Tally.Metric("latency.p95")
//	estimate := point.Interval("latency.p95", 0.95) // mean over the replications, with Student's interval
//
// # Intervals
//
// Requests of one run are not independent: who waits long is followed by others who do. So no interval here is taken
// over requests.
//
//   - With two replications or more, the interval is Student's over the values of the replications, one each, which
//     are independent. Percentiles too: a percentile's estimate is the mean of the replications' percentiles.
//   - With a single replication, its host divides the measured part into [Batches] of equal length, by arrival (completions of
//     throughput: by their own instant), each with a tally of its own (Replication.Batches). The estimate is the value over all of it, the interval Student's
//     over the batches (batch means). It holds where batches are so long that they hardly depend on each other; if von
//     Neumann's test at 5 % says that neighbours do, the report warns: of independent batches once in twenty runs. Metrics
//     that grow with the length of the run (requests, energy, maxima) and those of the nodes have no such interval.
//   - Two schedulers of one run, or two simulated runs of one seed and workload, met the same requests (common random
//     numbers; [Replication.Requests] tells). Their difference is taken replication by replication ([Paired]), which is
//     much sharper than two intervals.
//     Otherwise the difference has Welch's interval ([Welch]).
//
// The stopping rule of a scenario's precision is [Enough]: the shortest prefix of the replications by index, five at
// least, whose interval is narrow enough. It looks at indices alone, so that it stops at the same place on any
// number of cores.
//
// # Percentiles
//
// A percentile is of nearest rank: the smallest value that at least so many percent of the values do not exceed.
// A replication with fewer than [FewestBeyond] requests beyond a percentile has the luck of these: [Run.Sparse] warns
// of it, and a comparison gives no interval. Histograms keep three significant digits, an error below one in a
// thousand; with more than 16 functions in a scenario, two, below one in a hundred. Maxima and means are exact. The
// description of records ([Describe]) follows the same definition, on exact values.
//
// # The directory
//
// A run is stored in runs/NAME-TIME, unless its user says otherwise. Files take their names when they are complete; who
// reads finds the old one or the new one, and no half.
//
//	run.json                what was run: name, world, seed, version, host, command, when; the scenario as resolved, and where it
//	                        was, beside the data files that it names; the
//	                        points with the digest of every replication; state (running, complete, interrupted), and
//	                        which replications are missing; what metrics and columns mean
//	scenario.yaml           the scenario as resolved, to be run again
//	summary.csv             a row per point: point, the swept keys, scheduler, replications, interval (where intervals
//	                        come from), and per metric three columns: M, M_lo, M_hi. Times in seconds, shares between 0
//	                        and 1; empty = no value
//	requests.parquet, .csv  a row per request that arrived after the warm-up ([Columns]): all, or a uniform sample of
//	                        each replication's, or no file
//	plots/*.svg             the figures of the report
//	report.html             figures, tables, warnings, definitions; needs nothing else, and opens from a file
//	replications/           a file per finished replication, gzipped JSON: tally, nodes, series, digest. The others
//	                        follow from these and from the records
//	log/                    of a real run: what its nodes said, a file per process
//	record/                 of a real run that recorded: a log of every node's inputs, for a replay
//	learner/                what the learners of a point have learned, where there are some
//
// A run that is interrupted has all of this of what it finished. [Resume] goes on where it ended, and gives, bit for
// bit, the files of the run that was never interrupted; for that, scenario, seed, version and choice of records must be
// the same. Its records wait beside the replications until the run is complete.
//
// # Columns of the records
//
// Times are in nanoseconds. Durations are as the entry node saw them: none is the difference of two machines' clocks.
// latency_ns is the sum of client_ns and the six parts from scheduling_ns to returning_ns, in each completed request.
//
//	point, scheduler        the setting: joins with summary.csv, and the scheduler's label
//	replication, id         which request; numbered in order of arrival within its replication
//	node, function          node that the client called, function that it asked for
//	arrival_ns              when the request was meant to leave its client, since the run began
//	late_ns                 how much later it left: the load generator's lateness, part of client_ns; 0 in simulation
//	outcome                 completed, rejected, no-room, expired, lost-node-down, lost-no-answer, lost-hop-limit,
//	                        lost-client-gone, no-function
//	executor                node that executed it; -1 = none
//	hops, probes, retries   forwards; peers probed or asked; forwards that were refused or not answered
//	cold                    the execution began with a cold start
//	cold_start_ns           how long that took, part of executing_ns; 0 where there was none
//	demand_ns               service demand on a node of speed 1; 0 = not known (reality)
//	latency_ns              as the client saw it
//	client_ns               on the client's own link, both ways; in reality, all that its node does not see
//	scheduling_ns           in decisions, probing not counted
//	probing_ns              waiting for the answers of probed peers
//	forwarding_ns           on the way to the executing node, failed attempts included
//	waiting_ns              in waiting rooms
//	executing_ns            in a slot
//	returning_ns            the answer's way back between nodes
//	deadline_ns             wanted latency; 0 = none
//	energy_j                joules above idle that the request cost
//	rewarded                the scenario says what an answer is worth to a learner
//	reward                  that; 0 where it does not
//
// # Metrics
//
// Of the requests that arrived at their clients in the measured part (after the warm-up) and ended within the run.
// Means and percentiles of times are over the completed ones, in seconds; shares are of all, between 0 and 1, unless it
// says otherwise. With NAME[FUNCTION] they are of one function. Any percentile will do: latency.p75, waiting.p99.99.
//
//	requests, completed     how many ended, and how many of these completed
//	throughput              completions per second of the measured part, whenever the requests arrived, whole cluster
//	latency.mean .std .p50 .p90 .p95 .p99 .p99.9 .max
//	waiting.mean .p50 .p95 .p99 .max
//	client.mean scheduling.mean probing.mean forwarding.mean executing.mean returning.mean
//	drop_rate               did not complete, whatever the reason: the sum of the five that follow
//	rejected_rate           rejected on purpose, by the algorithm
//	no_room_rate            refused for lack of a free slot and of room to wait
//	no_function_rate        refused because the function was not where the request might execute
//	expired_rate            abandoned because the deadline passed
//	lost_rate               node down, no answer, hop limit, client gone
//	deadline_share          completed within the deadline (or completed, having none)
//	forwarded_share         began to execute at another node than the one the client called
//	probing_share           had at least one peer probed
//	probes_per_request      peers probed or asked
//	messages_per_request    messages between nodes in the measured part, of any kind, over the requests
//	hops.mean               forwards
//	retry_rate              forwards that were refused or not answered and fell back, over the requests
//	cold_share              executions that began with a cold start, over all executions
//	cold_start.mean         time that cold starts took, of the executions that began with one
//	utilisation             share of the slots' time spent executing; nodes without a limit of slots do not count
//	fairness                Jain's index of the nodes' utilisations: 1 = all equal, 1/n = one node does all
//	load.mean               tasks running and queued at a node, mean over nodes and time
//	energy                  joules of all nodes in the measured part, idle power included
//	energy_per_request      joules above idle that a request cost
//	energy_per_completed    energy over the completions in the measured part
package results
