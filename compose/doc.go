// Package compose is what runs the project in containers: Dockerfiles, compose files, manifests for fleets of devices, and the tests
// of all that. It has no code of its own.
//
// # Tests
//
// The tests pack the program into the images that `p2pfaas image` makes, run clusters of nodes and functions from them, and do to
// them what happens to machines: they are killed, paused, cut off, restarted, and parted from each other. They want an engine on this
// Linux machine, whose containers they call by their addresses, in subnets of 172.28.0.0/16 that nobody else has; nothing is
// published, and nothing is pulled.
//
//	make containers                                  # or
//	P2PFAAS_CONTAINERS=1 go test -count 1 -parallel 4 ./compose/...
//
// Without the variable they are skipped; with it, they fail where no engine answers. All that a run makes has the label p2pfaas.test
// with the name of the run, its images have the repository p2pfaas-test and that name as their tag. A process of its own removes it
// when the tests have ended, however they have, and begins by removing what runs have left that were killed.
package compose
