package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/shadow"
	"github.com/patrol-authz/patrol/authz/telemetry"
	"github.com/patrol-authz/patrol/bundles"
)

// makeBundles makes the policy's gate; nothing is loaded yet.
func (a *App) makeBundles() error {
	remote, err := a.Config.remote()
	if err != nil {
		return err
	}
	p := a.Config.Policy
	a.Watch = a.watchEvaluator()
	o := gateOptions(p, a.Watch)
	o.Paths, o.Remote, o.StateDir, o.Log, o.Clock, o.AllowNet = p.Bundles, remote, a.Config.DataDir, a.Log, a.Clock, p.AllowNet
	o.HistoryEntries, o.HistoryBytes = p.History.Versions, int64(p.History.MiB)<<20
	o.PoliciesInUse = func(ctx context.Context) ([]string, error) { return a.Store.PoliciesInUse(ctx) }
	o.Large, o.Observe = func() { a.memory.busy(garbageOfBundle) }, a.activated
	a.Shadow = shadow.New(shadow.Options{
		Beside: func(ctx context.Context, of *authz.Outcome, q authz.Request, active, other *authz.Ruleset) (was, would authz.Decision) {
			return a.Pipeline.Beside(ctx, of, q, active, other)
		},
		CredentialHeaders: p.CredentialHeaders, Clock: a.Clock, Log: a.Log,
	})
	// What a shadow is evaluated on is no alarm, and no input to be kept.
	o.Comparer, o.BuildShadow = a.Shadow, gateOptions(p, nil).Build
	if section, err := a.Config.dropIn(); err != nil {
		return err
	} else if section != nil {
		o.Paths, o.Comparer = nil, nil // they are the drop-in policy's, which decides
	}
	a.Bundles = bundles.New(o)
	return nil
}

// activated takes note of a bundle that was activated or refused.
func (a *App) activated(e bundles.Event) {
	if a.Metrics != nil {
		active := make([]telemetry.Bundle, len(e.Active))
		for i, b := range e.Active {
			active[i] = telemetry.Bundle(b)
		}
		a.Metrics.Activated(e.Name, e.Err, active)
	}
	if e.Err == nil && a.Hygiene != nil {
		a.Hygiene.Again() // other rules may find something else
	}
}

// watchEvaluator compares the compiled policy with OPA's interpreter while it
// serves. Metrics are there before the first bundle is.
func (a *App) watchEvaluator() *engine.Watch {
	return engine.NewWatch(engine.WatchOptions{
		Every: a.Config.Policy.CompareEvery, Log: a.Log,
		Fallback:   func(cause string) { a.Metrics.EvaluatorFallback(cause) },
		Compared:   func() { a.Metrics.EvaluatorCompared() },
		Difference: func() { a.Metrics.EvaluatorDiffered() },
	})
}

// evaluatorName is what evaluates at the moment, "" while nothing does.
func (a *App) evaluatorName() string {
	if r := a.Bundles.Ruleset(); r != nil {
		return r.Evaluator.Name()
	}
	return ""
}

// bundleMetrics tells which bundles are held.
type bundleMetrics App

var heldDesc = prometheus.NewDesc("patrol_bundle_held", "Whether an operator made another version active than the bundle's source has: 1, or 0.", []string{"name"}, nil)

// Describe implements prometheus.Collector.
func (*bundleMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- heldDesc }

// Collect implements prometheus.Collector.
func (m *bundleMetrics) Collect(ch chan<- prometheus.Metric) {
	for name, held := range m.Bundles.Holds() {
		value := 0.0
		if held {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, value, name)
	}
}
