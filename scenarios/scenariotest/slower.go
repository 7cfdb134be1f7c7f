// Package scenariotest is for tests that run scenarios.
package scenariotest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	wholeTime = regexp.MustCompile(`\b\d+(ms|s)\b`)
	wholeRate = regexp.MustCompile(`\b\d+/s\b`)
)

// Slower is a scenario in which all takes so many times as long: then what nodes and the load generator cost is so many times less beside
// that. The times of the text are whole numbers of ms or s, and its rates whole numbers a second; others stay as they are.
func Slower(scenario string, factor int) string {
	scenario = wholeTime.ReplaceAllStringFunc(scenario, func(text string) string {
		d, err := time.ParseDuration(text)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf("%gs", float64(factor)*d.Seconds())
	})
	return wholeRate.ReplaceAllStringFunc(scenario, func(text string) string {
		rate, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf("%g/s", rate/float64(factor))
	})
}
