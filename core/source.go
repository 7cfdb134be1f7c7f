package core

import (
	"embed"
	"io/fs"
)

//go:embed *.go membership/*.go random/*.go sched/*.go spelling/*.go
var source embed.FS

// Source is the code of core and of the packages under it, as it was compiled: what identifies the algorithms that a program
// carries, on any architecture. (Tests are among the files.)
func Source() fs.FS { return source }
