//go:build race

package theory

func init() { raceDetector = true }
