package telemetry

import (
	"maps"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/patrol-authz/patrol/authz"
)

// Inventory is asked for what there is, when metrics are read.
type Inventory interface {
	// Pending returns the review queue of each organization.
	Pending() map[string]Queue
	// Tokens counts tokens.
	Tokens() int
	// AsOf is when the inventory was last read.
	AsOf() time.Time
	// Modes counts organizations by enforcement.
	Modes() map[string]int
}

// Queue is an organization's open approval requests.
type Queue struct {
	Count  int
	Oldest time.Time
}

// Options of the metrics.
type Options struct {
	Version   string
	Inventory Inventory // may be nil
	// OpeningFailures counts approval requests that could not be opened at
	// once; may be nil.
	OpeningFailures func() int64
	// Outbox counts what waits to be told or was given up, by state; may be nil.
	Outbox func() map[string]int64
	// Evaluator names what evaluates at the moment: compiled, topdown, or ""
	// while nothing does; may be nil.
	Evaluator func() string
	// LogLinesLost counts lines of the log that were not written; may be nil.
	LogLinesLost func() int64
	// Organizations bounds how many become labels; default 200, then "other".
	Organizations int
	Clock         func() time.Time
}

// Metrics are patrol's metrics. Their names are documented in docs/metrics.md.
type Metrics struct {
	Options
	Registry *prometheus.Registry

	decisions, denials, pendingHits *prometheus.CounterVec
	duration                        *prometheus.HistogramVec
	conflicts                       prometheus.Counter
	exceptions, activations         *prometheus.CounterVec
	evaluator                       evaluatorMetrics
	notifications                   *prometheus.CounterVec
	bundles                         atomic.Pointer[[]Bundle] // the active ones, replaced as a whole
	approvalSeconds                 prometheus.Histogram
	mu                              sync.Mutex
	known                           map[string]bool
	children                        atomic.Pointer[map[kind]*counters] // never changed, only replaced
}

// durations run from 5 µs to 1 s.
var durations = []float64{5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 200e-6, 300e-6, 500e-6, 750e-6, 1e-3, 2e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1}

// New registers all metrics in a registry of their own.
func New(o Options) *Metrics {
	if o.Organizations == 0 {
		o.Organizations = 200
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	m := &Metrics{Options: o, Registry: prometheus.NewRegistry(), known: map[string]bool{}}
	m.children.Store(&map[kind]*counters{})
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patrol_" + name, Help: help}, labels)
		m.Registry.MustRegister(c)
		return c
	}
	m.decisions = counter("decisions_total", "Requests decided.", "allowed", "reason", "policy", "mode")
	m.denials = counter("denials_total", "Requests refused, by organization.", "organization", "policy", "reason")
	m.pendingHits = counter("approval_pending_hits_total", "Requests by tokens that wait for an approval, refused or waived.", "organization")
	m.exceptions = counter("exceptions_used_total", "Decisions that an exception changed.", "exception")
	m.activations = counter("bundle_activations_total", "Attempts to activate a bundle.", "name", "result")
	m.notifications = counter("notifications_total", "Messages to people by how they ended.", "channel", "kind", "state")
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "patrol_decision_duration_seconds", Help: "Time to decide a request.", Buckets: durations,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"evaluator"})
	m.conflicts = prometheus.NewCounter(prometheus.CounterOpts{Name: "patrol_safety_net_conflicts_total", Help: "Allows by Rego that the safety net refused."})
	m.approvalSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "patrol_approval_decision_seconds", Help: "Time from an approval request to its decision.", Buckets: prometheus.ExponentialBuckets(60, 4, 10),
	})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "patrol_build_info", Help: "The running build.", ConstLabels: prometheus.Labels{"version": o.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.evaluator.register(m.Registry)
	m.Registry.MustRegister(m.duration, m.conflicts, m.approvalSeconds, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &state{m})
	return m
}

// kind is what the counters of a decision depend on.
type kind struct {
	allowed, pending                         bool
	reason, policy, mode, organization, eval string
}

type counters struct {
	decision, denial, hit prometheus.Counter
	duration              prometheus.Observer
}

// Record counts an outcome. Counters are looked up once for each kind.
func (m *Metrics) Record(o *authz.Outcome) {
	k := kind{allowed: o.Decision.Allowed, reason: o.Decision.Reason, policy: o.Policy, eval: o.Evaluator}
	if o.Reason == nil {
		k.reason = authz.ReasonPolicyError
	}
	if o.Facts != nil && o.Facts.Organization != nil {
		k.organization, k.mode = o.Facts.Organization.Name, o.Facts.Organization.Enforcement
		if o.Facts.Organization.Type == authz.TypeUser {
			k.organization = userNamespace // its name is a user's, which is no label
		}
	}
	for _, r := range o.Decision.Reasons {
		k.pending = k.pending || r == authz.ReasonApprovalPending
	}
	child := m.child(k)
	child.decision.Inc()
	child.duration.Observe(o.Duration.Seconds())
	if child.denial != nil {
		child.denial.Inc()
	}
	if child.hit != nil {
		child.hit.Inc()
	}
	if o.Conflict != "" {
		m.conflicts.Inc()
	}
	if o.Decision.Exception != "" {
		m.exceptions.WithLabelValues(o.Decision.Exception).Inc()
	}
}

// child finds the counters of a kind; those of an organization beyond the bound
// are the others'.
func (m *Metrics) child(k kind) *counters {
	if c := (*m.children.Load())[k]; c != nil {
		return c
	}
	k.organization = m.bounded(k.organization)
	if c := (*m.children.Load())[k]; c != nil {
		return c
	}
	k = kind{
		allowed: k.allowed, pending: k.pending, reason: strings.Clone(k.reason), policy: strings.Clone(k.policy), mode: strings.Clone(k.mode),
		organization: strings.Clone(k.organization), eval: strings.Clone(k.eval),
	}
	c := m.counters(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	next := maps.Clone(*m.children.Load())
	next[k] = c
	m.children.Store(&next)
	return c
}

func (m *Metrics) counters(k kind) *counters {
	organization := k.organization
	evaluator := k.eval
	if evaluator == "" {
		evaluator = "none"
	}
	c := &counters{
		decision: m.decisions.WithLabelValues(strconv.FormatBool(k.allowed), k.reason, k.policy, k.mode),
		duration: m.duration.WithLabelValues(evaluator),
	}
	if !k.allowed {
		c.denial = m.denials.WithLabelValues(organization, k.policy, k.reason)
	}
	if k.pending {
		c.hit = m.pendingHits.WithLabelValues(organization)
	}
	return c
}

// userNamespace stands for all user namespaces in the label organization.
const userNamespace = "user namespace"

// bounded keeps the label organization from growing without end.
func (m *Metrics) bounded(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[name] || name == "" {
		return name
	}
	if len(m.known) >= m.Organizations {
		return "other"
	}
	m.known[name] = true
	return name
}

// Bundle is a bundle that is active.
type Bundle struct {
	Name, Revision string
	Since          time.Time // when this revision was activated
}

// Activated counts an attempt to activate a bundle, and after a success takes
// the bundles that are active in the place of those that were.
func (m *Metrics) Activated(name string, err error, active []Bundle) {
	if err != nil {
		m.activations.WithLabelValues(name, "refused").Inc()
		return
	}
	m.activations.WithLabelValues(name, "activated").Inc()
	m.bundles.Store(&active)
}

// Decided counts how long an approval request waited.
func (m *Metrics) Decided(waited time.Duration) { m.approvalSeconds.Observe(waited.Seconds()) }

// Notified counts a message to people: its state is sent, skipped, retried, dead
// or unreachable.
func (m *Metrics) Notified(channel, kind, state string) {
	m.notifications.WithLabelValues(channel, kind, state).Inc()
}

// state collects what there is when metrics are read.
type state struct{ *Metrics }

var (
	pendingDesc   = prometheus.NewDesc("patrol_approvals_pending", "Open approval requests.", []string{"organization"}, nil)
	oldestDesc    = prometheus.NewDesc("patrol_approval_oldest_pending_seconds", "Age of the oldest open approval request.", []string{"organization"}, nil)
	tokensDesc    = prometheus.NewDesc("patrol_inventory_tokens", "Tokens in the inventory.", nil, nil)
	stalenessDesc = prometheus.NewDesc("patrol_inventory_staleness_seconds", "Time since the inventory was last read.", nil, nil)
	bundleDesc    = prometheus.NewDesc("patrol_bundle_info", "The active bundles.", []string{"name", "revision"}, nil)
	successDesc   = prometheus.NewDesc("patrol_bundle_last_success_timestamp_seconds", "When the present revision of an active bundle was activated.", []string{"name"}, nil)
	modeDesc      = prometheus.NewDesc("patrol_governance", "Organizations by enforcement.", []string{"mode"}, nil)
	outboxDesc    = prometheus.NewDesc("patrol_outbox_jobs", "What waits to be told to people, or was given up.", []string{"state"}, nil)
	openingDesc   = prometheus.NewDesc("patrol_approval_opening_failures_total", "Attempts to open an approval request that failed and are tried again.", nil, nil)
	logLostDesc   = prometheus.NewDesc("patrol_log_lines_lost_total", "Lines of the log that were not written, since nobody took them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pendingDesc, oldestDesc, tokensDesc, stalenessDesc, modeDesc, openingDesc, logLostDesc, outboxDesc, evaluatorDesc, bundleDesc, successDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s.collectEvaluator(ch)
	if active := s.bundles.Load(); active != nil {
		for _, b := range *active {
			gauge(bundleDesc, 1, b.Name, b.Revision)
			gauge(successDesc, float64(b.Since.UnixMilli())/1000, b.Name)
		}
	}
	for d, count := range map[*prometheus.Desc]func() int64{openingDesc: s.OpeningFailures, logLostDesc: s.LogLinesLost} {
		if count != nil {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(count()))
		}
	}
	if s.Outbox != nil {
		for state, n := range s.Outbox() {
			gauge(outboxDesc, float64(n), state)
		}
	}
	if s.Inventory == nil {
		return
	}
	now := s.Clock()
	sums, oldest := map[string]int{}, map[string]time.Time{}
	for name, q := range s.Inventory.Pending() {
		name = s.bounded(name)
		sums[name] += q.Count
		if o, ok := oldest[name]; q.Count > 0 && (!ok || q.Oldest.Before(o)) {
			oldest[name] = q.Oldest
		}
	}
	for name, n := range sums {
		gauge(pendingDesc, float64(n), name)
		age := 0.0
		if o, ok := oldest[name]; ok {
			age = max(0, now.Sub(o).Seconds())
		}
		gauge(oldestDesc, age, name)
	}
	gauge(tokensDesc, float64(s.Inventory.Tokens()))
	gauge(stalenessDesc, max(0, now.Sub(s.Inventory.AsOf()).Seconds()))
	for mode, n := range s.Inventory.Modes() {
		gauge(modeDesc, float64(n), mode)
	}
}
