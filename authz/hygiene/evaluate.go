package hygiene

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Asker evaluates an entry of the active bundle.
type Asker interface {
	Ask(ctx context.Context, entry string, input, out any) error
}

// Entry is the rule that is asked.
const Entry = "patrol/findings/found"

// Severities, from the least.
const (
	SeverityLow    = "low"
	SeverityMedium = "medium"
	SeverityHigh   = "high"
)

var severities = []string{SeverityLow, SeverityMedium, SeverityHigh}

// Finding is what a rule found.
type Finding struct {
	Name     string `json:"finding"` // the rule's package: "unused"
	Severity string `json:"severity"`
	Title    string `json:"title"`
	// Message says what is wrong, and Do what to do about it.
	Message string         `json:"message"`
	Do      string         `json:"do"`
	Details map[string]any `json:"details,omitempty"`
}

// Evaluate asks the rules about a document. Findings come gravest first. That a
// rule gives something else than a finding is an error: nothing is found by
// mistake.
func Evaluate(ctx context.Context, rules Asker, d *Document) ([]Finding, error) {
	if rules == nil {
		return nil, errors.New("no policy bundle is active")
	}
	var found map[string]struct {
		Severity, Title, Sentence, Do string
		Details                       map[string]any
	}
	if err := rules.Ask(ctx, Entry, d, &found); err != nil {
		return nil, fmt.Errorf("ask the hygiene rules: %w", err)
	}
	out := make([]Finding, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		if !slices.Contains(severities, f.Severity) {
			return nil, fmt.Errorf("the finding %s has the severity %q, which is none of %s", name, f.Severity, strings.Join(severities, ", "))
		}
		out = append(out, Finding{
			Name: name, Severity: f.Severity, Title: cmp.Or(f.Title, name), Message: fill(f.Sentence, f.Details), Do: f.Do, Details: f.Details,
		})
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return Rank(b.Severity) - Rank(a.Severity) })
	return out, nil
}

// Rank orders severities: the graver, the greater.
func Rank(severity string) int { return slices.Index(severities, severity) }

// fill puts details in the place of {their names}.
func fill(sentence string, details map[string]any) string {
	for name, value := range details {
		place := "{" + name + "}"
		if !strings.Contains(sentence, place) {
			continue
		}
		text := fmt.Sprint(value)
		switch v := value.(type) {
		case float64:
			text = fmt.Sprintf("%.10g", v)
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			text = strings.Join(parts, ", ")
		}
		sentence = strings.ReplaceAll(sentence, place, text)
	}
	return sentence
}
