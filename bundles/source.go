package bundles

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// source is one place where a bundle comes from.
type source struct {
	name, kind string // kind: embedded, a path, or a URL
	path       string // "" unless a path
	// signing says by what its bundles have to be signed; nil: they need not be.
	signing *bundle.VerificationConfig
	current *loaded
	offered *loaded // what it was last read to have; nil: nothing yet
	seen    string  // what was last tried, so that it is tried once
	hold    *hold   // nil: what it has counts
	stale   bool    // a hold that ended is still on the disk
	floor   *int64  // the greatest serial that it brought; nil: not read yet
	status  Status
}

// origin tells a source from every other. Its name does not: it goes by the order
// of the paths, and a path that is put before it would take over what is its own.
func (s *source) origin() string {
	if s.path == "" {
		return "service " + s.kind
	}
	if path, err := filepath.Abs(s.path); err == nil {
		return "path " + path
	}
	return "path " + s.path
}

// key names what is kept of a source on the disk.
func (s *source) key() string {
	sum := sha256.Sum256([]byte(s.origin()))
	return hex.EncodeToString(sum[:8])
}

// sources are what the options name, in order.
func (o *Options) sources() []*source {
	var all []*source
	for i, p := range o.Paths {
		name := "local"
		if i > 0 {
			name = fmt.Sprintf("local-%d", i+1)
		}
		all = append(all, &source{name: name, kind: p, path: p})
	}
	if o.Remote != nil {
		for _, r := range o.Remote.Bundles {
			all = append(all, &source{name: r.Name, kind: r.Service + "/" + r.Resource, signing: r.Signing})
		}
	}
	return all
}

// apart refuses two sources of which one could be taken for the other.
func apart(all []*source) error {
	var errs []error
	names, origins := map[string]*source{}, map[string]*source{}
	for _, s := range all {
		if other := names[s.name]; other != nil {
			errs = append(errs, fmt.Errorf("opa.bundles.%s: the bundle of the path %s has this name: choose another", s.name, other.path))
		}
		if other := origins[s.origin()]; other != nil {
			errs = append(errs, fmt.Errorf("the bundles %s and %s are both %s: leave one out", other.name, s.name, s.kind))
		}
		names[s.name], origins[s.origin()] = s, s
	}
	return errors.Join(errs...)
}

// held is what is wrong with a source that is held while nothing of it is active.
type held struct{ error }

func (h held) Unwrap() error { return h.error }

// told says the way out along with what is wrong, where nothing serves as a source
// is held.
func (s *source) told(err error) error {
	var already held
	if s.hold == nil || s.current != nil || errors.As(err, &already) {
		return err
	}
	at := "at what is not known any more"
	if s.hold.lost == nil {
		at = "at " + s.hold.Revision + " since " + s.hold.Since.UTC().Format("2006-01-02 15:04 UTC")
	}
	return held{fmt.Errorf("%w (the bundle is held %s; patrol bundle rollback --release goes back to its source)", err, at)}
}
