// Package problem holds reinforcement learning problems whose solution is known: environments to learn on, and what the
// best learner can earn there.
//
// # Environments
//
// A Problem is stepped through as in Sutton and Barto: it is in some state, an action brings a reward and the time until
// the next decision, and an episode may end.
//
//	p, err := problem.Parse("ACCESS", "servers=10;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=1")
//	...
//	s := make([]float64, p.Dim())
//	p.Reset(r)
//	for range steps {
//		p.State(s)
//		reward, dt, ended := p.Step(choose(s), r)
//		...
//	}
//
// They are
//
//	AccessControl  ACCESS       which customers get one of ten servers     for ever
//	Naor           NAOR         which jobs are let into a queue            for ever, continuous time
//	Deadline       DEADMDP      which jobs run here, which in the cloud    for ever, continuous time
//	TwoNodes       TWONODE      at which of two nodes a job runs           for ever, continuous time
//	Windy          WINDY        the way across a grid with wind            episodes
//	Cliff          CLIFF        the way along a cliff                      episodes
//	RandomWalk     RW5          nothing to choose, values to learn         episodes
//	Bernoulli      LAIROB       a bandit of successes and failures         for ever, one state
//	Testbed        TB           a bandit of normal rewards                 for ever, one state
//	MountainCar    MOUNTAINCAR  the way up a slope that is too steep       episodes
//
// All draw from the generator that they are given, and from nothing else: equal generators and actions give equal
// rewards, bit for bit.
//
// # The exact solution
//
// All but the last two are Finite: they have a Model, the exact law of what State, Step and Reset do.
//
//	m := p.(problem.Finite).Model()
//	m.Solve().Gain                           // the most that can be earned per unit time
//	m.EpsilonGreedy(0.1).Gain                // the most for one who explores in a tenth of the decisions
//	m.PerDecision().Solve().Gain             // per decision, as a learner of average rewards sees it
//	m.Evaluate(m.Uniform()).Gain             // what chance earns
//	m.Evaluate(m.Deterministic(greedy)).Gain // what a learned policy earns
//
// Where episodes end the gain is zero and Return says what an episode brings; nothing is discounted. One method serves
// both: an end is a class of states with gain 0 and value 0. The time grows with the cube of the states: 100 take
// milliseconds, 1000 a few seconds.
//
// A learner that explores is scored by its rewards against EpsilonGreedy, and a learned policy by Evaluate against
// Solve. In states that are hardly ever visited a learned policy is a matter of chance, and one wrong action there can
// shut the process in (to accept nobody when all servers are free, as soon as they once are): where that can happen,
// score the rewards.
//
// Train lets a learner learn on a problem and scores it so; NewOptimum and Choices hold what it has learned against the
// best, state by state. The command p2pfaas learner validate does both.
//
// # Sources
//
// Howard, Dynamic Programming and Markov Processes, 1960. Puterman, Markov Decision Processes, 1994. Sutton and Barto,
// Reinforcement Learning: An Introduction, 2nd edition, 2018. Those of the problems are with them.
package problem
