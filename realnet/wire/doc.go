// Package wire has the names and shapes of what clients, nodes and load generators say to each other over HTTP: those of the first P2PFaaS (headers, codes
// of errors, the JSON that its nodes exchange), and what nodes of this project say beyond them.
package wire
