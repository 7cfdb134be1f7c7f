package scenarios

import (
	"encoding/json"
	"io"
)

// Write stands in for that of calibrationfile.go, which another branch brings: remove this file where the two meet.
func (c *Calibration) Write(w io.Writer) error { return json.NewEncoder(w).Encode(c) }
