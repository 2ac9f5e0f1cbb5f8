package sources

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/patrol-authz/patrol/authz"
)

// Bounds of what a mapping may say.
const (
	maxParts  = 8
	maxPart   = 1024
	maxName   = 200 // as the inventory has it
	maxGrants = 500
)

// question is the input of data.patrol.sources.
type question struct {
	Now    int64          `json:"now"` // seconds since 1970
	Source askedSource    `json:"source"`
	Claims map[string]any `json:"claims"`
}

type askedSource struct {
	Kind string `json:"kind"`
	Name string `json:"name"` // the issuer, or the endpoint's name
}

// described is a token as the mapping says it.
type described struct {
	ID          []string `json:"id"`
	Owner       string   `json:"owner"`
	DisplayName string   `json:"display_name"`
	Kind        string   `json:"kind"`
	Grants      []struct {
		Type        string   `json:"type"`
		Name        string   `json:"name"`
		Permissions []string `json:"permissions"`
	} `json:"grants"`
	IssuedAt  float64 `json:"issued_at"`
	ExpiresAt float64 `json:"expires_at"`
}

// Entry is the bundle's entry that maps a source's claims: [authz.SourceJWT] or
// [authz.SourceIntrospection].
func Entry(source string) string { return "patrol/sources/" + source + "/mapped" }

// mapped asks Rego what token claims are: nil where they are none. A mapping
// that fails, or says what makes no sense, is an error.
func (s *Sources) mapped(ctx context.Context, source, name string, claims map[string]any) (*authz.Claimed, error) {
	rules := s.Policy.Ruleset()
	if rules == nil || rules.Asker == nil {
		return nil, errors.New("no policy bundle is active")
	}
	entry := Entry(source)
	var said []described
	q := question{Now: s.Clock().Unix(), Source: askedSource{source, name}, Claims: claims}
	if err := rules.Asker.Ask(ctx, entry, q, &said); err != nil {
		return nil, fmt.Errorf("the mapping of claims: %w", err)
	}
	switch len(said) {
	case 0:
		s.metrics.token(source, "refused")
		return nil, nil
	case 1:
	default:
		return nil, fmt.Errorf("the mapping of claims: %s says %d tokens of one", entry, len(said))
	}
	token, err := s.claimed(source, &said[0])
	if errors.Is(err, errOtherwise) {
		s.metrics.token(source, "refused")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the mapping of claims: %s: %w", entry, err)
	}
	s.metrics.token(source, "mapped")
	return token, nil
}

// errOtherwise: the owner is not written as users' names are written here. The
// token is nobody's, which is no mistake of the mapping's.
var errOtherwise = errors.New("owner: is not written as users' names are")

// claimed checks what the mapping says. Names are not quoted: they are the
// client's.
func (s *Sources) claimed(source string, d *described) (*authz.Claimed, error) {
	parts := 0
	for _, part := range d.ID {
		if part != "" {
			parts++
		}
		if len(part) > maxPart {
			return nil, fmt.Errorf("id: a part is longer than %d bytes", maxPart)
		}
	}
	switch {
	case parts == 0 || len(d.ID) > maxParts:
		return nil, fmt.Errorf("id: needs 1 to %d parts", maxParts)
	case d.Owner == "" || len(d.Owner) > maxName:
		return nil, errors.New("owner: is missing, or too long")
	case d.Owner != authz.Fold(d.Owner):
		return nil, errOtherwise // elsewhere Bob and bob may be two people
	case d.Kind != authz.KindRead && d.Kind != authz.KindWrite && d.Kind != authz.KindFineGrained:
		return nil, errors.New("kind: is none of read, write, fine-grained")
	case d.Kind != authz.KindFineGrained && len(d.Grants) > 0:
		return nil, errors.New("grants: belong to fine-grained tokens")
	case len(d.Grants) > maxGrants:
		return nil, fmt.Errorf("grants: are more than %d", maxGrants)
	}
	issued, err := moment("issued_at", d.IssuedAt)
	if err != nil {
		return nil, err
	}
	expires, err := moment("expires_at", d.ExpiresAt)
	if err != nil {
		return nil, err
	}
	c := &authz.Claimed{
		Digest: s.Digester.Identity(source, d.ID...), Source: source, Owner: d.Owner, DisplayName: shown(d.DisplayName, d.Owner), Kind: d.Kind,
		IssuedAt: issued, ExpiresAt: expires,
	}
	for _, g := range d.Grants {
		if plain(g.Type, g.Name, g.Permissions) {
			permissions := slices.Clone(g.Permissions)
			slices.Sort(permissions)
			c.Grants = append(c.Grants, authz.Grant{Entity: authz.Entity{Type: g.Type, Name: g.Name}, Permissions: slices.Compact(permissions)})
		}
	}
	return c, nil
}

// plain says whether the inventory could keep a grant. One that it could not
// grants nothing.
func plain(kind, name string, permissions []string) bool {
	if !authz.ValidType(kind) || !validEntity.MatchString(name) || len(permissions) == 0 || len(permissions) > authz.MaxPermissions {
		return false
	}
	return !slices.ContainsFunc(permissions, func(p string) bool { return !authz.ValidPermission(p) })
}

// validEntity is a namespace, or what lies in one.
var validEntity = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[\x21-\x7e]{1,200})?$`)

// moment reads seconds since 1970; 0: not told.
func moment(field string, seconds float64) (time.Time, error) {
	if seconds == 0 {
		return time.Time{}, nil
	}
	if math.IsNaN(seconds) || seconds < 1 || seconds > 1<<40 {
		return time.Time{}, errors.New(field + ": is no time")
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}

// shown is a name that the inventory takes.
func shown(name, owner string) string {
	if name == "" {
		name = owner
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError || r == '\u202e' || r == '\u2028' || r == '\u2029' {
			return '_'
		}
		return r
	}, name)
	if len(name) > maxName {
		end := maxName
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end]
	}
	return name
}
