// Package scenarios reads scenario files: what a cluster is made of, what runs on it, who calls it and how it
// schedules, for the simulator and for real nodes alike. The library of ready scenarios lies beside it and is
// embedded in the program.
//
//	f, err := scenarios.Load("scenarios/lambda-sweep.yaml")
//	err = f.Set("cluster.nodes", "100")
//	points, err := f.Points()
//	tasks := points[0].Scenario.Arrivals(0)
//
// # Strictness
//
// Nothing falls back to a default in silence. Unknown, repeated and empty keys, numbers without a unit, fractions
// where a count is meant, a second document, anchors, aliases and tags are refused, and all problems are reported
// at once as FILE:LINE:COLUMN: KEY: what is wrong: what to write instead. The values of --set and of a sweep are
// held to the same. Every default is in this page, in the JSON Schema (Schema), and in what File.Resolved writes
// out.
//
// # Units
//
//	duration        200ms        ns us ms s min h d
//	rate            8/s          /s /min /h
//	bytes           28kB         B kB MB GB, KiB MiB GiB
//	bandwidth       100Mbit/s    bit/s kbit/s Mbit/s Gbit/s, B/s kB/s MB/s GB/s
//	power           2.7W         mW W kW
//	energy a byte   50nJ/B       J/B mJ/B uJ/B nJ/B
//	share           5% or 0.05   from 0 to 1
//	count           12           digits; "unlimited" where the table says so
//
// # The file
//
//	name: lambda-sweep      # letters, digits, - and _; default: the file's name
//	description: text
//	seed: 1                 # of every random stream
//	duration: 200s          # of a run, warm-up included: virtual in simulation, wall time in reality. Required
//	warmup: 10%             # results before it are dropped; a duration or a percentage of the duration
//	replications: 10        # independent runs of each point
//	precision:              # more runs, until the interval of a metric is narrow; default: none
//	  {metric: latency.mean, relative: 5%, confidence: 95%, max_replications: 1000}
//	records: auto           # requests to record: none, sample, all; auto: a sample in a sweep, all otherwise
//	real: {duration: 20s, replications: 1}   # otherwise in a run on real nodes; default: nothing
//	cluster: ...            # required, as are functions, workload and scheduler
//	functions: [...]
//	workload: ...
//	client: {link: {...}}   # between a client and the node that it calls; as cluster.links below. Default: none
//	                        # timeout: 1min: when it gives up; default: 1min, but in simulation without faults never
//	scheduler: ...
//	faults: [...]           # what goes wrong; default: nothing
//	hosts: [...]            # machines that are shared; default: everything has cores of its own
//	calibration: PATH       # what the machines cost; default: nothing
//	sweep: ...
//
// # Cluster
//
//	cluster:
//	  nodes: 12             # or groups, see below
//	  slots: 1              # K: functions that run at once; may be unlimited
//	  queue: unlimited      # Q: places in the waiting room; 0: none
//	  speed: 1              # a service time is demand/speed
//	  discipline: fifo      # fifo, lifo, priority, deadline (earliest first), shortest (job first)
//	  service_mode: slots   # slots: each runs at full speed; processor-sharing: the running ones share the cores;
//	                        # preemptive-priority: the most urgent ones have the cores, the others resume later;
//	                        # preemptive-lifo: those that began last; preemptive-shortest: those with least work left
//	  cores: 1              # of all modes but slots
//	  abandon: false        # a waiting task leaves when its deadline has passed
//	  power: {idle: 0W, busy: 0W, sent: 0J/B}   # always; more per busy slot; per byte sent to other nodes
//	  topology: full-mesh
//	  links: {latency: 0s, jitter: ..., bandwidth: ..., loss: 0}
//	  cloud: {slots: unlimited, speed: 1, link: {latency: 40ms}, power: ...}   # default: none
//	  limits: {cpus: 2, memory: 64MiB}          # of each container of a node, where there are containers; default: all
//	  groups:               # instead of nodes; what a group does not say is as for the cluster
//	    - {name: fast, nodes: 4, speed: 4, slots: 4}
//	    - {name: slow, nodes: 8}
//
// Topologies, links in both directions: full-mesh; ring; line; star (node 0 is the centre); grid and torus {rows}, by default
// as nearly square as the number of nodes allows (a prime number above 3 is refused, unless rows says 1);
// tree {arity: 2}; k-regular {degree}; erdos-renyi {probability}; watts-strogatz {degree, rewire}; barabasi-albert
// {attach}; edges {file, acyclic: false}, a CSV file with two node numbers, from 0, in each row. A word by itself
// is a kind. Random graphs depend on the seed, not on the replication. A graph in several parts is refused, unless
// it has allow_disconnected: true.
//
// Links: latency and jitter are distributions, bandwidth (default: without limit) counts the bytes of requests and
// answers, loss is the probability that a message is lost, and needs the scheduler's timeouts. Instead of latency
// stand latency_matrix: {file, unit: ms}, row = from, column = to, or coordinates: {file, per_km: 5us} with x,y per
// node in kilometres.
//
// # Functions
//
//	functions:
//	  - name: face-detect
//	    service: {distribution: exponential, mean: 300ms}   # time to execute at speed 1. Required, as is the name
//	    payload: 28kB         # travels with a request; default 0B
//	    reply: 1kB            # travels with an answer; default 0B
//	    deadline: 600ms       # from the arrival on; may be a distribution; default: none
//	    priority: 0           # 0 is the most urgent class
//	    share: 50%            # of the workload; all functions or none have one; default: all alike
//	    cold_start: {time: 500ms, keep_alive: 10min}   # default: instances are always warm
//	    replicas: iid         # demands of the copies of a task: iid or same
//	    placement: all        # which nodes have it: {nodes: [0-3, 7]}, {groups: [big]}, {copies: 3} (drawn from the seed)
//	    cpu: auto             # share of the service time during which a core is busy; see Hosts
//	    backend: sleep        # what real nodes execute; a simulation has the service time alone
//
// A task executes only where its function is; the cloud has every function. What a decision sees as its neighbours are those
// that have the task's function, and what is to execute where it is not goes to one of them, for which max_hops must let it.
//
// Backends: sleep waits for the service time, loop computes for so long, face-detect looks for faces in the picture that
// is the payload; {kind: exec, command: [./detect, --port, "{port}"]} is a process that each node starts, which serves
// HTTP on that port; {kind: url, url: "http://10.0.0.3:8080/"} whatever serves HTTP there; {kind: image, image: ./detect} a
// container for each node, of a tag, a tar or a directory with a Dockerfile, for p2pfaas deploy.
//
// A duration by itself is a constant. Distributions, mean being that of the whole:
//
//	deterministic       mean
//	exponential         mean
//	shifted-exponential mean, shift
//	erlang              mean, phases
//	hyperexponential    mean, scv (two balanced phases); or probabilities: [...], means: [...]
//	lognormal           mean, scv
//	gamma               mean, shape
//	weibull             mean, shape
//	pareto              shape, min, max
//	uniform             min, max
//	empirical           values: [...], weights: [...]; or file, unit: s
//
// scv is the squared coefficient of variation, variance/mean².
//
// # Workload
//
//	workload: {arrivals: poisson, rate: 8/s}
//
// The rate is that of each node, short for {per_node: 8/s}; {total: 96/s} is spread evenly over the nodes,
// {groups: {fast: 8/s, slow: 2/s}} says it for each node of a group. arrivals is
//
//	poisson         the default; min_gap: 10ms draws a node's shorter gaps again, as the first P2PFaaS did
//	deterministic   equal gaps; phase: random (each node's own, the default) or aligned
//	renewal         gap: a distribution, scaled to the rate; without a rate, as it is
//	mmpp            states: [{rate, stay: mean time, next: [probabilities]}, ...]; next defaults to the others alike
//	replay, azure-2019, azure-2021   trace: ...
//
// Instead of a rate, the first three may have a curve, which repeats after its period:
//
//	curve: {period: 24h, start: 0s, points: [{at: 0s, rate: 1/s}, {at: 8h, rate: 9/s}]}   # linear between them
//	curve: {period: 24h, sinusoid: {mean: 5/s, amplitude: 3/s}}
//	curve: {period: 24h, file: "load-{node}.csv", min: 0/s, max: 20/s}                    # rate = min + (max-min)·value
//
// {node} stands for the node's number; repeat: 6 says that there are six files, node i using number i mod 6. unit:
// /s instead of min and max says that the values are rates. Arrivals follow a curve exactly.
//
//	trace: {file: a.csv, from: 0s, speedup: 1, ...}
//
// A replay has the columns time and, where they are known, node, function, demand, deadline, in unit: s; an empty cell is not
// known, and drawn as if there were no column; a deadline of 0 is none. `p2pfaas trace` makes such a file of a run. The Azure
// traces have their published columns; their functions are ranked by invocations (top: 100 keeps so many), rank k
// plays the function k mod F of the scenario and enters at node k mod N (place: random: anywhere). demand: function
// draws the demand from the function's service, although the trace has one.
//
// # Faults
//
//	faults:
//	  - {kind: crash, nodes: [1, 3-5], at: 20s, for: 10s}
//	  - {kind: partition, between: [[0-5], [6-11]], at: 40s, for: 20s}
//	  - {kind: slow, factor: 3, random: 1, every: 1min, for: 5s}
//
// A fault is a kind, whom it befalls, when it begins, and how long it lasts (for; default: to the end of the run). The kinds are
//
//	crash           of nodes: gone with all that they held, and back empty, their learners as they were at the beginning;
//	                what clients send these meanwhile is lost. A learner outside the process (external) stays
//	pause           of nodes: they and their functions stand still, and go on
//	slow            of nodes: executions take factor times as long, which is more than 1
//	garbage         of nodes: peers cannot use what they answer, and go on as if they were gone
//	slow-answers    of nodes: what they answer to peers (probes, results of forwards) leaves later by a latency,
//	                which may be random
//	function-fails  of nodes: an execution ends with a status (default: 500) in the place of an answer, with a probability;
//	                functions: [f] says which, default: all
//	function-hangs  of nodes: an execution that begins does not end, and keeps its slot until the client or the peer gives up;
//	                functions as above
//	learner-down    of nodes: the learner does not answer, and what clients send it is lost; it keeps what it has learned
//	full-disk       of nodes: they can write nothing
//	clock-step      of nodes: the wall clock is off, by: -1h or 10min, and goes back at the end
//	partition       of links: no message arrives
//	loss            of links: a message is lost with a probability
//	delay           of links: a message takes longer by a latency, which may be random
//	reorder         of links: a message takes longer by a latency, with a probability, so that later ones overtake it
//	duplicate       of links: a message arrives twice with a probability, and each of the two travels by itself. Of a task that
//	                is forwarded, and of its answer, the first counts: it executes once
//
// It befalls nodes (all, or numbers and ranges), or as many random ones as it says, drawn anew each time. One of links
// lies on those between these nodes and all others, the cloud too, or between two sets of nodes; one_way: true: from
// the nodes, or the first set, alone. No node may be on both sides of a partition, unless one side is all. It begins
// at an instant, or every so often: then the times from the end of one to the next are exponential, and that is their
// mean. Or it begins once, on a condition:
//
//	when: {arrivals: 1000}   # right after the arrival of request number 1000
//	when: {load: 5}          # when one of its nodes has five requests, running or waiting; it befalls that one
//
// What is drawn is of the seed, the replication and the place in the list. Faults that overlap add up: a node is down, or stands
// still, until the last one ends; factors multiply, delays and steps of clocks add, and a message passes where no loss takes it.
//
// Where nobody answers messages, the scheduler needs timeouts, as with lossy links: a node that is down refuses what
// comes, at once, but what a peer had asked of it, or forwarded to it, before it crashed ends with the peer's timeout.
// Nodes on a host do not pause or slow down, since what executes there is the machine's. Up to 1024 nodes, neighbours
// leave and come back as the failure detector of real nodes sees it. No decision depends on disks or wall clocks:
// full-disk and clock-step change nothing in simulation, and are there to see whether that holds of real nodes.
//
// # Hosts
//
//	hosts:
//	  - {name: laptop, cores: 2, nodes: all, functions: [detect], load: true}
//
// A host is a machine whose cores are shared by what runs on it: nodes (all, or a list of numbers and ranges as [0-3, 7]),
// functions (whatever node calls them; all others run beside the node that does), and the load generator. The default of
// each is not to be there. What is on no host has cores of its own, as the cloud always has. Nothing is on two hosts, and a node
// on a host has service_mode: slots, since another one is a second model of its processor.
//
// The cpu of a function is a share: of its service time, during which it keeps a core busy. It matters only where hosts share
// cores. auto is what the calibration has measured of the function, otherwise 0 for the backend sleep and 1 for every
// other.
//
// Real nodes run where they are, and cost what they cost: hosts and calibration are for simulations of them, and a run on real
// nodes ignores both.
//
// # Calibration
//
//	calibration: calibration.yaml    # or {path: calibration.yaml, sha256: ...}
//
// The file is relative to the scenario, and in YAML, read as strictly as a scenario. p2pfaas calibrate writes it
// (docs/adr/0015):
//
//	measured: {at: 2026-11-28T19:00:00Z, host: text, version: text, scenario: NAME, target: local, seed: 9001, requests: 5000,
//	  notes: [text]}        # what casts doubt on it; default: nothing
//	cores: 2                # of the machine
//	timer: {times: [...]}   # lateness of an exact wait
//	link: {times: [...]}    # round trip between two nodes on the bare network
//	costs:                  # of the parts of a request: how long, and processor time of all processes
//	  client: {cpu: 350us, times: [...]}     # between a client and its node, both ways together
//	  probe: {cpu: ..., times: ...}          # a round of probes, there and back
//	  forward: ...          # a request's way to a peer
//	  return: ...           # the answer's way back
//	  call: ...             # of a function, beyond its service time
//	  act: ...              # of asking a node's learner, beyond its inference; default: nothing
//	functions:              # default: none was measured
//	  detect:
//	    stretch: 1.002      # service time over the demand, where the function is told it
//	    cpu: 98%
//	    call: ...           # instead of that of costs
//	    service: [...]      # service time where nobody tells the demand; default: the demand is told
//	    fits: [{distribution: "{distribution: lognormal, mean: 80ms, scv: 0.3}", aic: -310.2, ks: 0.012, p: 0.4}]
//	    slowdown: [{at_once: 2, factor: 1.01, model: 1}]
//	    nodes: [1, 1.02]    # factors of the service time, one for each node; default: nodes do not differ
//	idle: 0.01              # cores that a node keeps busy by itself, without a request; default: 0
//
// target is local, compose, hosts or nodes. times are equally likely, in ascending order, 1000 at most; [] stands for
// 0s. All keys are required but where a default is given, and fits and slowdown. Simulations do not need fits; where
// hosts share their cores, these lose what executions at once, of the function that computes most, took longer than by
// the model; of more than there are cores, what more of them took longer. The last number is for all beyond. A
// calibration may have functions that the scenario has not; one whose service was measured takes that instead of the
// scenario's. Those of the scenario that it has not take their own service time and cpu, and the call of costs. The
// points of a file share one Calibration for each such file.
//
// # Data files
//
// A file is a path relative to the scenario, or {path, separator: comma, decimal: point, header: false, comment,
// column, sha256}. Separators are comma, semicolon, tab, space; decimal is point or comma; lines that begin with
// comment are left out; column is a name of the header or a number from 1, by default the last. A file that is
// written otherwise than it says is refused.
//
// # Scheduler
//
//	scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 2}
//	scheduler: {name: PowerOfNScheduler, parameters: ["1", "2", "true", "1"]}   # the first P2PFaaS's form
//
// Package sched has the algorithms and their parameters. All have max_hops (default: what the rule needs), on_failure:
// execute (next, fail) for a forward that is not answered, on_refusal (default: as on_failure) for one that is refused,
// at_hop_limit: execute (lose; not with max_hops: 1, which would lose every forward), and probe_timeout and
// answer_timeout (default: wait for ever).
//
// # Learner
//
//	learner:                       # what the nodes learn with; default: nothing. Package learner says what it does
//	  algorithm: sarsa             # expected-sarsa q-learning double-q dqn, sample-average ucb1 linucb thompson
//	  actions_n: 3                 # default: as the scheduler says
//	  {alpha: 0.01, beta: 0.01, average_reward: true, gamma: 0.9, steps: 1, lambda: 0}
//	  function: table              # tiles linear network
//	  {initial: 0, states: 1000000}                        # of a table
//	  {tilings: 8, tiles: [8], hash: 0}                    # of tiles
//	  {hidden: [32, 32], activation: tanh, optimizer: adam, clip: 1}   # of a network
//	  policy: epsilon-greedy       # softmax
//	  {epsilon: geometric, epsilon_start: 0.9, epsilon_min: 0.1, epsilon_decay: 0.99, epsilon_decay_enabled: true}
//	  {temperature: constant, temperature_start: 0.1, temperature_min: 0.01, temperature_decay: 10000}
//	                               # not of ucb1, linucb and thompson, which explore by themselves
//	  {per_state: false, c: 1.4142135623730951, scale: 0}  # of bandits
//	  replay: {capacity: 10000, batch: 32, every: 4, warmup: 500, target: 250, double: true}   # of dqn
//	  {window_size: 5, entry_missing_max_attempts: 100, capacity: 10000}   # of deferred training
//	  {train: true, v1_compat: false}
//	  weights: city.json           # a file, or a directory with one for each node; default: nothing was learned before
//	  reward: deadline             # {kind: latency, penalty: 0}, {kind: energy, penalty: 0}, {kind: formula, formula: ...};
//	                               # weights: by function, default: alike
//	  inference: 2ms               # a distribution; default: a decision does not wait for the learner
//	  entries: {delay: 5ms, loss: 0, batch: 1}   # from the client to the learner; delay: default none
//	  external: {act: "ws://127.0.0.1:8765", train: "http://127.0.0.1:19020", timeout: 5s}   # default: none; train: none
//
// What stands in braces by itself are single keys of learner, in one line here.
//
// # Sweep
//
//	sweep:
//	  workload.rate: {from: 1/s, to: 14/s, step: 1/s}      # or points: 5, scale: log
//	  functions.face-detect.deadline: [300ms, 600ms]
//	  zip: {cluster.slots: [1, 2, 4], cluster.queue: [9, 8, 6]}   # these change together
//	  scheduler: [{name: NoScheduler}, {name: JSQ, d: 2}]
//
// A grid over any dotted keys; entries of lists go by their name or index. The last key changes fastest. A swept
// key need not be elsewhere in the file.
package scenarios
