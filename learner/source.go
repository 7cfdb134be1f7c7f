package learner

import (
	"embed"
	"io/fs"
)

//go:embed *.go
var source embed.FS

// Source is the code of this package, as it was compiled; see core.Source.
func Source() fs.FS { return source }
