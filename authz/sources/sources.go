package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// Policy gives the active ruleset, whose mappings are asked; nil while there is
// none.
type Policy interface{ Ruleset() *authz.Ruleset }

// Digester gives the digests under which tokens and answers are known.
type Digester interface {
	Identity(source string, parts ...string) authz.Digest
	Secret(credential.Secret) authz.Digest
}

// Register makes or widens the record of a token, durably, and returns when it
// is in force here. [ErrRefused] says that the token is not to have one.
type Register func(context.Context, *authz.Claimed) error

// ErrRefused says that a token has no record and gets none: its owner is not
// known, or the record was deleted.
var ErrRefused = errors.New("the token gets no record")

// Options of the sources. Policy, Digester and Register are required.
type Options struct {
	Policy   Policy
	Digester Digester
	Register Register
	// Issuers are whose verified claims are taken.
	Issuers []Issuer
	// Endpoints are asked about the tokens of their formats, the first that fits.
	Endpoints []Endpoint
	// NewPerSecond bounds how many records are made or widened; default 10. Up
	// to a hundred times as many may come at once after a quiet time.
	NewPerSecond float64
	// Wait bounds how long a decision waits for a record; default 250 ms. Making
	// it goes on.
	Wait  time.Duration
	Clock func() time.Time
	Log   *slog.Logger
}

// Sources say who tokens of elsewhere are. It is safe for concurrent use.
type Sources struct {
	Options
	metrics   *metrics
	issuers   map[string]*Issuer // by the key of their metadata
	endpoints []*endpoint
	records   *records
}

// New makes sources of options that [Check] is content with.
func New(o Options) (*Sources, error) {
	if o.NewPerSecond == 0 {
		o.NewPerSecond = 10
	}
	if o.Wait == 0 {
		o.Wait = 250 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sources{Options: o, metrics: newMetrics(), issuers: map[string]*Issuer{}}
	if err := s.take(); err != nil {
		return nil, err
	}
	for i, e := range s.endpoints {
		if err := e.open(); err != nil {
			return nil, fmt.Errorf("introspection[%d]%w", i, err)
		}
	}
	s.records = newRecords(s)
	return s, nil
}

// Check says what is wrong with issuers and endpoints, by their place in the
// configuration. It reads their files and opens no connection.
func Check(o Options) error {
	return (&Sources{Options: o, issuers: map[string]*Issuer{}}).take()
}

func (s *Sources) take() error {
	for i := range s.Issuers {
		if err := s.addIssuer(&s.Issuers[i]); err != nil {
			return fmt.Errorf("jwt.issuers[%d]%w", i, err)
		}
	}
	names := map[string]bool{}
	for i, o := range s.Endpoints {
		e := &endpoint{Endpoint: o, sources: s}
		if err := e.check(); err != nil {
			return fmt.Errorf("introspection[%d]%w", i, err)
		}
		if names[e.Name] {
			return fmt.Errorf("introspection[%d].name: %q is there twice", i, e.Name)
		}
		names[e.Name] = true
		s.endpoints = append(s.endpoints, e)
	}
	return nil
}

// Close waits for records that are being made.
func (s *Sources) Close() { s.records.close() }

// unavailable is the refusal where it cannot be said what a token is.
func unavailable(err error) error { return &failure{err} }

// failure is a cause for the log, which the client hears of as an inventory
// that is out of reach.
type failure struct{ cause error }

func (f *failure) Error() string { return f.cause.Error() }

func (f *failure) Unwrap() []error {
	return []error{&authz.Refusal{Reason: authz.ReasonInventoryUnavailable}, f.cause}
}
