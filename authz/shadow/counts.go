package shadow

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
)

// Counts says what was counted since [Comparer.Compare].
func (c *Comparer) Counts() authz.ShadowCounts {
	out := authz.ShadowCounts{Differences: []authz.ShadowDifference{}}
	of := c.now.Load()
	if of == nil {
		return out
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	since := of.since
	out.CountedSince, out.Evaluated, out.Dropped, out.Different = &since, of.evaluated, of.dropped.Load(), of.different
	for _, d := range of.kinds {
		one := *d
		one.Examples = slices.Clone(d.Examples)
		out.Differences = append(out.Differences, one)
	}
	slices.SortFunc(out.Differences, func(a, b authz.ShadowDifference) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	return out
}

// Describe implements prometheus.Collector.
func (c *Comparer) Describe(ch chan<- *prometheus.Desc) {
	c.evaluated.Describe(ch)
	c.dropped.Describe(ch)
	c.differences.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *Comparer) Collect(ch chan<- prometheus.Metric) {
	c.evaluated.Collect(ch)
	c.dropped.Collect(ch)
	c.differences.Collect(ch)
}
