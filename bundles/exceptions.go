package bundles

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// The ends of what Rego's time.parse_rfc3339_ns takes: nanoseconds in 64 bits.
var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64)
)

// checkExceptions refuses exceptions of the overlay that would waive nothing,
// which nobody would notice before a token is refused.
func checkExceptions(data map[string]any) error {
	sub, _ := data[rootOverlay].(map[string]any)
	if sub["exceptions"] == nil {
		return nil
	}
	list, ok := sub["exceptions"].(map[string]any)
	if !ok {
		return fmt.Errorf("data.%s.exceptions: must be an object of exceptions by their ids", rootOverlay)
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(list)) {
		path := fmt.Sprintf("data.%s.exceptions.%s", rootOverlay, id)
		exception, ok := list[id].(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: must be an object", path))
			continue
		}
		for _, name := range []string{"owner", "ticket", "reasons", "until"} {
			if exception[name] == nil {
				errs = append(errs, fmt.Errorf("%s.%s: is missing; without it the exception waives nothing", path, name))
			}
		}
		if problem := endProblem(exception["until"]); problem != "" {
			errs = append(errs, fmt.Errorf("%s.until: %s", path, problem))
		}
	}
	return errors.Join(errs...)
}

func endProblem(until any) string {
	if until == nil {
		return "" // told as missing
	}
	text, _ := until.(string)
	end, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return "must be a time as 2027-01-31T00:00:00Z"
	case end.Before(earliest) || end.After(latest):
		return "must lie before 2262-04-11, the last day that Rego's time has"
	}
	return ""
}
