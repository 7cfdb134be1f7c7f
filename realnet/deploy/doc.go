// Package deploy brings a scenario's cluster to where it is to run: processes on this machine, containers of a compose file, or containers
// on machines that are reached over SSH. The design is docs/adr/0013-deployment.md.
//
// A Plan (plan.go) is data: what there is to be, and where. What this machine remembers of a deployment is a Deployment
// (deployment.go); what engines know of it is in the labels of containers, networks and volumes.
//
// # The target hosts
//
// An Inventory is a hosts file, which its documentation shows (hosts.go). Its Layout gives each node a machine, an address and ports. An
// Engine (engine.go) is the container engine of a machine, whose socket is reached by a stream of an SSH connection (ssh.go) in this
// process: neither ssh nor docker need be installed here, and on the machine only an engine, of API 1.41 or later, and an SSH daemon that
// lets the user stream to its socket and connect its addresses. Hosts are known by their keys (known_hosts); ~/.ssh/config is not read.
//
// Hosts (target_hosts.go) makes a plan true on all machines at once: images, networks, functions, nodes, and at last it waits until
// all nodes know their peers. A container is left as it is where it carries the labels and has the image that it would get; otherwise
// it is started, made or replaced. A deployment that was not there before is undone where it fails or is interrupted.
//
// A container has no capabilities, no way to get privileges, a bounded number of processes and a bounded log, and is started again unless it
// was stopped; one of this program also has a user without a name, a root that cannot be written to, and a small /tmp. A node
// shares its machine's network, a function is in a bridge of the machine. Engines copy nothing into a root that cannot be written to:
// the files of the plan are in a volume of the container's own, which it may only read.
package deploy
