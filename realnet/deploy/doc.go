// Package deploy brings a scenario's cluster to where it is to run: processes on this machine, containers of a compose file, or containers
// on machines that are reached over SSH. The design is docs/adr/0013-deployment.md.
package deploy
