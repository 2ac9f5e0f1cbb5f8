package engine

import (
	"context"
	"errors"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown/print"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// DefaultDecision is the entry of patrol's own bundle.
const DefaultDecision = "patrol/authz/decision"

// DefaultTimeout ends an evaluation that takes too long.
const DefaultTimeout = 500 * time.Millisecond

// Modes of [New].
const (
	// ModeAuto compiles a policy where that can be, and is found right.
	ModeAuto = "auto"
	// ModeTopdown leaves all to OPA's interpreter.
	ModeTopdown = "topdown"
	// ModeCompiled is ModeAuto, except that a policy that is not compiled is an
	// error.
	ModeCompiled = "compiled"
)

// Options of an evaluator.
type Options struct {
	// Compiler holds the compiled modules of the bundle; required.
	Compiler *ast.Compiler
	// Store holds the bundle's data; required. It must not change while the
	// evaluator is in use: rules and data belong together.
	Store storage.Store
	// Decisions are the entries to evaluate, as paths below data: the first
	// refusal wins, and headers are merged in their order. Default:
	// [DefaultDecision].
	Decisions []string
	// Timeout of one evaluation; default [DefaultTimeout].
	Timeout time.Duration
	// CredentialHeaders and ExposeCredential say which headers policies see;
	// see [input.Options].
	CredentialHeaders []string
	ExposeCredential  bool
	// Runtime is what opa.runtime() gives; may be nil.
	Runtime *ast.Term
	// Print receives what policies print; nil drops it.
	Print print.Hook
	// AllFields builds the whole input, whatever the policy reads.
	AllFields bool
	// Mode says by what [New] evaluates; default [ModeAuto].
	Mode string
	// Schema is the JSON Schema of the input, from which [New] makes inputs to
	// compare the evaluators on; may be nil.
	Schema []byte
	// Watch compares in production and is told of what happens; may be nil.
	Watch *Watch
	// Entries are what an [Asker] compiles, as paths below data.
	Entries []string

	// program makes the compiled form of an entry: tests have wrong ones.
	program func(context.Context, compiled.Options) (*compiled.Program, error)
}

func (o *Options) defaults() error {
	if o.Compiler == nil || o.Store == nil {
		return errors.New("an evaluator needs a compiler and a store")
	}
	if len(o.Decisions) == 0 {
		o.Decisions = []string{DefaultDecision}
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.program == nil {
		o.program = compiled.New
	}
	return nil
}
