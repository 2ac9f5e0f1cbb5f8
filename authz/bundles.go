package authz

import (
	"context"
	"time"
)

// How a bundle came to be active.
const (
	BundleFromSource = "source"
	BundlePromoted   = "promoted"
	BundleRolledBack = "rolled_back"
)

// BundleVersion is a bundle that was active, as the history keeps it.
type BundleVersion struct {
	Bundle string `json:"bundle" doc:"The bundle, as its status names it"`
	// Number grows with each version that a source or a shadow brought; rolling
	// back to one leaves it where it is.
	Number   int64  `json:"number" doc:"The order in which they became active; rolling back to one leaves it its number"`
	Revision string `json:"revision"`
	Digest   string `json:"digest" doc:"Of its content"`
	Root     string `json:"root"`
	Bytes    int64  `json:"bytes" doc:"Of its tarball"`
	Signed   bool   `json:"signed"`
	// FirstActive is when it first became active, ActivatedAt when it last did.
	FirstActive time.Time `json:"first_active"`
	ActivatedAt time.Time `json:"activated_at"`
	How         string    `json:"how" enum:"source,promoted,rolled_back" doc:"How it last became active"`
	By          string    `json:"by,omitempty" doc:"Who did that; absent: its source"`
	Active      bool      `json:"active"`
}

// BundleHold says that what a bundle's source has is passed over, until it has
// something else or the hold is released.
type BundleHold struct {
	How   string    `json:"how" enum:"promoted,rolled_back"`
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	// Revision and Digest are of what serves instead.
	Revision string `json:"revision"`
	Digest   string `json:"digest"`
	// SourceRevision and SourceDigest are of what the source was last read to have,
	// which is passed over; "" where it could not be read. So is what was active before.
	SourceRevision string `json:"source_revision,omitempty"`
	SourceDigest   string `json:"source_digest,omitempty"`
	// NotKept is why the hold ends with this process; "" where it does not.
	NotKept string `json:"not_kept,omitempty"`
}

// BundleAct is what an operator asks for.
type BundleAct struct {
	// Bundle is which one; "" where there is one alone.
	Bundle string
	// To is the revision or digest to roll back to; "": the one before the active.
	To string
	// By is who asks.
	By string
	// Match is the tag of what the operator looked at; "" takes what there is.
	Match  string
	DryRun bool
	// Note is called when the gate has passed, before anything changes, with what
	// the audit log is to hold; its error stops the act. May be nil.
	Note func(ctx context.Context, details map[string]any) error
}

// BundleChange is what came of an act, or would.
type BundleChange struct {
	Bundle       string   `json:"bundle"`
	How          string   `json:"how" enum:"source,promoted,rolled_back"`
	FromRevision string   `json:"from_revision,omitempty"`
	FromDigest   string   `json:"from_digest,omitempty"`
	Revision     string   `json:"revision,omitempty" doc:"What is active now, or would be"`
	Digest       string   `json:"digest,omitempty"`
	DryRun       bool     `json:"dry_run,omitempty"`
	Warnings     []string `json:"warnings,omitempty" doc:"What does not keep it from being active: the gate's, and which versions are skipped, as an operator went back from them before"`
	// NotKept is why it will not last over a restart.
	NotKept string `json:"not_kept,omitempty" doc:"Why it does not last over a restart"`
}

// MaxShadow is how large the tarball of a shadow may be, in bytes.
const MaxShadow = 32 << 20

// Shadow is a bundle that is evaluated beside the active one, and what was counted.
type Shadow struct {
	// Bundle is the one whose place it takes; "" where it would be beside the base.
	Bundle   string    `json:"bundle,omitempty"`
	Revision string    `json:"revision"`
	Digest   string    `json:"digest"`
	Root     string    `json:"root,omitempty"`
	Sample   float64   `json:"sample" doc:"The part of the requests on which it is evaluated, 0 to 1"`
	By       string    `json:"by"`
	Since    time.Time `json:"since"`
	DryRun   bool      `json:"dry_run,omitempty"`
	// Error is why it is not evaluated at the moment.
	Error    string   `json:"error,omitempty" doc:"Why it is not evaluated at the moment"`
	Warnings []string `json:"warnings,omitempty"`
	ShadowCounts
}

// ShadowCounts are what a shadow made of requests, counted since something of the
// two that are compared last changed, or patrol started.
type ShadowCounts struct {
	CountedSince *time.Time `json:"counted_since,omitempty" doc:"Since when one active bundle and one shadow are compared; a restart begins anew"`
	Evaluated    int64      `json:"evaluated"`
	Dropped      int64      `json:"dropped" doc:"Requests of the sample that were not evaluated: too many came at once, or the inventory changed meanwhile"`
	Different    int64      `json:"different" doc:"Requests that the shadow would answer otherwise"`
	// Differences are the kinds of them, the most frequent first.
	Differences []ShadowDifference `json:"differences"`
}

// ShadowDifference is a kind of difference.
type ShadowDifference struct {
	From     string `json:"from" doc:"What was answered: a reason, or allow"`
	To       string `json:"to" doc:"What the shadow would answer"`
	Requests int64  `json:"requests"`
	// Examples are the last ones.
	Examples []ShadowExample `json:"examples"`
}

// ShadowExample is a request that the shadow would answer otherwise.
type ShadowExample struct {
	RequestID    string    `json:"request_id"`
	Organization string    `json:"organization,omitempty"`
	Time         time.Time `json:"time"`
}

// ShadowAnswerAllow is what all allows are told as, whatever their reason.
const ShadowAnswerAllow = "allow"

// PromotionGuard says what a shadow must have shown before it is promoted.
type PromotionGuard struct {
	IfEvaluated    int64  // at least so many evaluations; 0: any
	MaxDifferences *int64 // at most so many differences; nil: any
}

// What keeps an act on bundles from being done.
const (
	BundleMissing  = "missing"  // there is no such bundle or version
	BundleInvalid  = "invalid"  // what was asked or sent is wrong
	BundleRefused  = "refused"  // the gate refuses it
	BundleConflict = "conflict" // the state does not admit it
	BundleChanged  = "changed"  // it is no longer what the operator looked at
)

// BundleError says why an act on bundles was not done: nothing was changed.
type BundleError struct {
	Kind   string // a constant above
	Field  string // of BundleInvalid: what is wrong
	Detail string
}

func (e *BundleError) Error() string { return e.Detail }
