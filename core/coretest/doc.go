// Package coretest holds what tests of core, of its hosts and of algorithms share. Script plays the world around one
// node, for tests of an algorithm.
package coretest
