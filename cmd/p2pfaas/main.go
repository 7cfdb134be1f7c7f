// Command p2pfaas simulates scheduling algorithms of fog and edge nodes and reports how they do.
package main

import "github.com/p2pfaas/p2pfaas/cmd"

func main() { cmd.Main() }
