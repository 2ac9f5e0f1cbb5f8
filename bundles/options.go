package bundles

import (
	"context"
	"io/fs"
	"log/slog"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/patrol-authz/patrol/authz"
)

// Compiled is what a candidate compiled to; its store never changes.
type Compiled struct {
	Compiler *ast.Compiler
	Store    storage.Store
	Data     map[string]any
	Revision string
}

// Options of a manager; Base, Schema, Build and Router are required.
type Options struct {
	// Base is the embedded base bundle, with its .manifest.
	Base fs.FS
	// Paths are operators' bundles: folders or tarballs. One with root patrol
	// replaces the base; the others are overlays.
	Paths []string
	// Remote are bundles of HTTP bundle services, from OPA's configuration.
	Remote *Remote
	// StateDir keeps the last good set, the history, what is held, the greatest serials
	// and the shadow; "" keeps none.
	StateDir string
	// HistoryEntries and HistoryBytes bound what the history keeps of each source;
	// default 10 and 64 MiB. The oldest go first.
	HistoryEntries int
	HistoryBytes   int64
	// Schema is the JSON Schema of the input.
	Schema []byte
	// Build makes the evaluator of a candidate.
	Build func(context.Context, Compiled) (authz.Evaluator, error)
	// BuildShadow makes the evaluator of a shadow; default Build.
	BuildShadow func(context.Context, Compiled) (authz.Evaluator, error)
	// Comparer compares a shadow with what is active; nil: there may be none.
	Comparer Comparer
	// Asker makes what answers a candidate's other entries, beside its evaluator.
	// May be nil.
	Asker func(context.Context, Compiled, authz.Evaluator) authz.Asker
	// Router compiles a candidate's route tables.
	Router func(data map[string]any) (authz.Router, error)
	// Sources makes the router of a candidate from its table, where more than the
	// table says what a request is about. May be nil.
	Sources func(context.Context, Compiled, authz.Router) (authz.Router, error)
	// PoliciesInUse lists the token policies that organizations have chosen; a
	// candidate that drops one is refused. May be nil.
	PoliciesInUse func(context.Context) ([]string, error)
	// AllowNet are the hosts that rules may ask by http.send and
	// net.lookup_ip_addr. With none, a bundle that calls either is refused.
	AllowNet []string
	// ProbeMemory bounds what a probe's evaluation may allocate, in bytes;
	// default 256 MiB.
	ProbeMemory uint64
	// Large is called before a bundle of more than 256 KiB is read from a path, and
	// tried: that leaves much garbage. May be nil.
	Large func()
	// Observe is told of each attempt. May be nil.
	Observe func(Event)
	// Poll is how often folders are looked at without being told of a change;
	// default 2 s.
	Poll time.Duration
	// Debounce waits for a change to a folder to be complete; default 50 ms.
	Debounce time.Duration
	// ProbeTimeout ends a probe's evaluation; default 2 s.
	ProbeTimeout time.Duration
	Clock        func() time.Time
	Log          *slog.Logger
}

// Event is an attempt to activate.
type Event struct {
	Name string // the source that changed
	Err  error
	Time time.Time
	// Active are all bundles that are active after a success: the base, then the
	// overlays.
	Active []Active
}

// Active is a bundle that is active.
type Active struct {
	Name, Revision string
	Since          time.Time // when this revision was activated
}

// Status of one source.
type Status struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Root   string `json:"root,omitempty"`
	// Revision that is active; "" while none is.
	Revision string `json:"revision,omitempty"`
	// Digest is of the active content.
	Digest string `json:"digest,omitempty"`
	// LastSuccess is when it was activated.
	LastSuccess *time.Time `json:"last_success,omitempty"`
	LastAttempt *time.Time `json:"last_attempt,omitempty"`
	// Error is why the last attempt was refused; "" after a success.
	Error string `json:"error,omitempty"`
	// Warnings of the active revision.
	Warnings []string `json:"warnings,omitempty"`
	// LastGood: what was last good serves, from the disk, not what the source has.
	LastGood bool `json:"last_good,omitempty"`
	// Held: an operator made another version active; what the source has is passed
	// over.
	Held *authz.BundleHold `json:"held,omitempty"`
	// HistoryError is why the active version is not in the history.
	HistoryError string `json:"history_error,omitempty"`
	// ReplacedBy is the bundle that serves instead of the embedded base.
	ReplacedBy string `json:"replaced_by,omitempty"`
	// Evaluator is what evaluates the active set at the moment, compiled or
	// topdown, and EvaluatorWhy why it is the latter.
	Evaluator    string `json:"evaluator,omitempty"`
	EvaluatorWhy string `json:"evaluator_why,omitempty"`
}

// EvaluatorWhy says why OPA's interpreter evaluates a ruleset, "" where a
// compiled policy does or the evaluator does not tell.
func EvaluatorWhy(r *authz.Ruleset) string {
	if e, ok := r.Evaluator.(interface{ Why() string }); ok {
		return e.Why()
	}
	return ""
}

func (o *Options) defaults() {
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.Debounce == 0 {
		o.Debounce = 50 * time.Millisecond
	}
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = 2 * time.Second
	}
	if o.HistoryEntries == 0 {
		o.HistoryEntries = 10
	}
	if o.HistoryBytes == 0 {
		o.HistoryBytes = 64 << 20
	}
	if o.ProbeMemory == 0 {
		o.ProbeMemory = 256 << 20
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
