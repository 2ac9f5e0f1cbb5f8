package console

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// choice is what a filter may be set to, in words.
type choice struct{ Value, Words string }

// kinds of the filter, said as the listing says them.
var kinds = []choice{
	{authz.KindRead, kindWords(authz.KindRead)}, {authz.KindWrite, kindWords(authz.KindWrite)}, {authz.KindFineGrained, kindWords(authz.KindFineGrained)},
}

// statuses of the filter, in the order in which they are offered, said as the
// listing says them. Revoked ones are left out unless they are asked for.
var statuses = []choice{
	{"", "any"},
	{"pending", "pending"},
	{"pending_frozen", "pending (frozen)"},
	{"approved", "approved"},
	{"approval_ended", "approval ended"},
	{"denied", "denied"},
	{"suspended", "suspended"},
	{"none", "not decided on"},
	{"revoked", "revoked"},
}

// filtered reads the filter out of an address. What is no choice is no filter.
func filtered(q url.Values) inventory.TokenFilter {
	f := inventory.TokenFilter{Owner: strings.TrimSpace(q.Get("owner")), Query: strings.TrimSpace(q.Get("q")), Finding: q.Get("finding")}
	if offered(kinds, q.Get("kind")) {
		f.Kind = q.Get("kind")
	}
	if offered(statuses, q.Get("status")) {
		f.Status = q.Get("status")
	}
	if slices.Contains(sorts, strings.TrimPrefix(q.Get("sort"), "-")) {
		f.Sort = q.Get("sort")
	}
	return f
}

func offered(all []choice, value string) bool {
	return slices.ContainsFunc(all, func(c choice) bool { return c.Value == value })
}

// findingChoices are the findings that were made at an organization, with how
// many tokens have each. The chosen one is among them also where none has it.
func findingChoices(counts []hygiene.Count, chosen string) (out []choice) {
	known := chosen == ""
	for _, n := range counts {
		if i := slices.IndexFunc(out, func(c choice) bool { return c.Value == n.Finding }); i >= 0 {
			continue // the rule gives several severities: the gravest is counted
		}
		out = append(out, choice{n.Finding, fmt.Sprintf("%s (%d)", n.Title, tokensWith(counts, n.Finding))})
		known = known || n.Finding == chosen
	}
	if !known {
		out = append(out, choice{chosen, strings.ReplaceAll(chosen, "_", " ") + " (0)"})
	}
	return out
}

// tokensWith counts the tokens that have a finding, of whatever severity.
func tokensWith(counts []hygiene.Count, finding string) (n int64) {
	for _, c := range counts {
		if c.Finding == finding {
			n += c.Tokens
		}
	}
	return n
}

// countsFor is how long the counts beside a filter are kept: to count tens of
// thousands of findings takes longer than all else on a page, and the filter
// does not need the very last one.
const countsFor = 30 * time.Second

// keptCounts are the counts of findings by organization.
type keptCounts struct {
	mu  sync.Mutex
	all map[string]countsAt
}

type countsAt struct {
	counts []hygiene.Count
	at     time.Time
}

// countsOf are the counts of an organization's findings, at most countsFor old.
func (c *Console) countsOf(ctx context.Context, organization string) ([]hygiene.Count, error) {
	now := c.Clock()
	fresh := func(k countsAt) bool { return !now.Before(k.at) && now.Sub(k.at) < countsFor }
	c.counts.mu.Lock()
	k, ok := c.counts.all[organization]
	c.counts.mu.Unlock()
	if ok && fresh(k) {
		return k.counts, nil
	}
	counts, err := c.Reports.CountFindingsOf(ctx, organization)
	if err != nil {
		return nil, err
	}
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	maps.DeleteFunc(c.counts.all, func(_ string, k countsAt) bool { return !fresh(k) })
	c.counts.all[organization] = countsAt{counts, now}
	return counts, nil
}
