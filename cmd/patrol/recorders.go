package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/record"
	uses "github.com/patrol-authz/patrol/authz/usage"
)

// openRecorders opens what takes note of decisions, and what judges it.
func (a *App) openRecorders() error {
	if err := a.openRecords(); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find this host's name: %w", err)
	}
	a.Hygiene = hygiene.New(hygiene.Options{
		// A server that starts again goes on with its own lease.
		Store: a.Store, Holder: host + ":" + a.Config.DataDir, Rules: a.hygieneRules, Clock: a.Clock, Log: a.Log,
	})
	a.Usage = uses.New(uses.Options{Store: a.Store, CredentialHeaders: a.Config.Policy.CredentialHeaders, Written: a.usageWritten, Clock: a.Clock, Log: a.Log})
	a.Metrics.Registry.MustRegister(a.Usage, (*findingMetrics)(a), a.Shadow, (*bundleMetrics)(a))
	a.Usage.Start()
	a.Hygiene.Start()
	return nil
}

func (a *App) closeRecorders(ctx context.Context) {
	if a.Usage != nil {
		if err := a.Usage.Close(ctx); err != nil {
			a.Log.Error("the last usage is lost", "error", err)
		}
	}
	if a.Hygiene != nil {
		a.Hygiene.Close()
	}
	if a.Records != nil {
		_ = a.Records.Close()
	}
}

// hygieneRules are those of the active bundle.
func (a *App) hygieneRules() hygiene.Asker {
	if r := a.Bundles.Ruleset(); r != nil && r.Asker != nil {
		return r.Asker
	}
	return nil
}

// usageWritten looks again at tokens whose use is itself a finding.
func (a *App) usageWritten(b *uses.Batch) {
	for i := range b.Counts {
		switch c := &b.Counts[i]; c.Reason {
		case uses.ReasonSeenInQuery, uses.ReasonDisabled, authz.ReasonTokenRevoked:
			a.Hygiene.Changed(c.Token)
		}
	}
}

// lookAgain looks again at what a command changed.
func (c *commands) lookAgain(cmd inventory.Command, r *inventory.Result) {
	if on, ok := cmd.(inventory.IfVersion); ok {
		cmd = on.Command
	}
	if r.Token != nil {
		c.Hygiene.Changed(r.Token.ID)
	}
	name := ""
	switch cmd := cmd.(type) {
	case inventory.ImportTokens:
		c.Hygiene.Again()
	case inventory.ReportReuse:
		c.Hygiene.Changed(cmd.Token)
	case inventory.DeleteToken:
		c.Hygiene.Changed(cmd.Token)
	case inventory.AddMember:
		name = cmd.Organization
	case inventory.RemoveMember:
		name = cmd.Organization
	}
	if o := c.Follower.Snapshot().Organization(name); o != nil {
		c.Hygiene.ChangedOrganization(o.ID)
	}
}

// findingMetrics counts findings when metrics are read.
type findingMetrics App

var findingsDesc = prometheus.NewDesc("patrol_findings", "Findings of the hygiene rules: tokens, or organizations, that have one.", []string{"finding", "severity"}, nil)

// Describe implements prometheus.Collector.
func (*findingMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- findingsDesc }

// Collect implements prometheus.Collector.
func (m *findingMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := m.Store.CountFindings(ctx)
	if err != nil {
		m.Log.Error("count findings", "error", err)
	}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(findingsDesc, prometheus.GaugeValue, float64(c.Tokens), c.Finding, c.Severity)
	}
}

// openRecords opens the store of refusals.
func (a *App) openRecords() (err error) {
	a.Records, err = record.Open(record.Options{
		Dir: filepath.Join(a.Config.DataDir, "refusals"), CredentialHeaders: a.Config.Policy.CredentialHeaders,
		Facts: input.AppendFacts, Clock: a.Clock, Log: a.Log,
		Sentence: func(o *authz.Outcome) string { return answer.Sentence(o, a.answerOptions()) },
	})
	if err == nil {
		a.Metrics.Registry.MustRegister(a.Records)
	}
	return err
}
