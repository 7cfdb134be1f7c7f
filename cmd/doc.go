// Package cmd is the p2pfaas command, one file per subcommand. A module of your own that registers an algorithm gets
// the whole tool with it:
//
//	package main
//
//	import (
//		"github.com/p2pfaas/p2pfaas/cmd"
//		_ "example.org/me/myalgorithms" // calls sched.Register in an init function
//	)
//
//	func main() { cmd.Main() }
//
// Exit status: 0 for success, 1 where a run failed, 2 for bad input (a wrong flag, a scenario with mistakes: then
// nothing was written), 130 after Ctrl-C.
package cmd
