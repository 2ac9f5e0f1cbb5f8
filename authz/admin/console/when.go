package console

import "time"

// minute is how a moment is written.
const minute = "2006-01-02 15:04 UTC"

// moment is a time ([time.Time] or a pointer to one) to the minute; "" of none.
func moment(t any) string { return shown(t, minute) }

// day is its date.
func day(t any) string { return shown(t, time.DateOnly) }

// dayOf is a time, as a date where it is the beginning of one.
func dayOf(at time.Time) string {
	if at = at.UTC(); at.Equal(at.Truncate(24 * time.Hour)) {
		return day(at)
	}
	return moment(at)
}

// shown writes a time by a layout.
func shown(v any, layout string) string {
	switch t := v.(type) {
	case time.Time:
		if !t.IsZero() {
			return t.UTC().Format(layout)
		}
	case *time.Time:
		if t != nil && !t.IsZero() {
			return t.UTC().Format(layout)
		}
	}
	return ""
}
