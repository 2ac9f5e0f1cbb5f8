package console

import (
	"cmp"
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
	{"none", "by policy, not decided on"},
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
	if offered(severities, q.Get("severity")) {
		f.Severity = q.Get("severity")
	}
	if slices.Contains(sorts, strings.TrimPrefix(q.Get("sort"), "-")) {
		f.Sort = q.Get("sort")
	}
	return f
}

func offered(all []choice, value string) bool {
	return slices.ContainsFunc(all, func(c choice) bool { return c.Value == value })
}

// severities of the filter: each with the graver ones.
var severities = []choice{
	{"", "any or none"},
	{hygiene.SeverityLow, "low or graver"},
	{hygiene.SeverityMedium, "medium or graver"},
	{hygiene.SeverityHigh, "high"},
}

// findingChoices are the findings that the rules look for, the gravest first,
// with how many tokens have each; and those that they looked for once, as long as
// a token has one, or one is chosen.
func findingChoices(kinds []authz.FindingKind, counts []hygiene.Count, chosen string) []choice {
	type offer struct {
		name, title string
		grade       int
		tokens      int64
	}
	offers := map[string]*offer{}
	for _, k := range kinds {
		if !k.Off {
			offers[k.Name] = &offer{name: k.Name, title: k.Title, grade: hygiene.Rank(k.Severity)}
		}
	}
	for _, n := range counts {
		o := offers[n.Finding]
		if o == nil {
			o = &offer{name: n.Finding, title: n.Title, grade: hygiene.Rank(n.Severity)}
			offers[n.Finding] = o
		}
		o.tokens += n.Tokens
	}
	if chosen != "" && offers[chosen] == nil {
		offers[chosen] = &offer{name: chosen, title: strings.ReplaceAll(chosen, "_", " "), grade: -1}
	}
	ordered := slices.SortedFunc(maps.Values(offers), func(a, b *offer) int {
		return cmp.Or(b.grade-a.grade, strings.Compare(a.title, b.title))
	})
	out := make([]choice, len(ordered))
	for i, o := range ordered {
		out[i] = choice{o.name, fmt.Sprintf("%s (%d)", o.title, o.tokens)}
	}
	return out
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
