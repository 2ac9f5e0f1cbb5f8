package decide

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// errNoRecord says that a token's record was made and is not here.
var errNoRecord = errors.New("the record of a token of elsewhere is not in force yet")

// errOtherKind says that a token is of another kind than its record shows.
var errOtherKind = errors.New("the record of a token of elsewhere does not show its kind yet")

// claimed is the token whose claims the proxy verified. Its credential is the
// request's only one: what else the client sent would speak for another.
func (r *run) claimed(ctx context.Context, cred *credential.Credential) (*authz.Claimed, error) {
	if r.Sources == nil {
		return nil, nil
	}
	present, claimed, err := r.Sources.Vouched(ctx, r.out.Request)
	if err != nil || !present {
		return nil, err
	}
	if cred.Facts.State == authz.CredentialPresent {
		return nil, &authz.Refusal{Reason: authz.ReasonCredentialMalformed, Detail: "a token beside a verified JWT was sent"}
	}
	cred.Facts = authz.CredentialFacts{State: authz.CredentialPresent, Scheme: authz.SchemeBearer}
	return claimed, nil
}

// introspected is the token behind a secret that the inventory knows nothing of.
func (r *run) introspected(ctx context.Context, secret credential.Secret) (*authz.Claimed, error) {
	if r.Sources == nil || r.out.Unknown == (authz.Digest{}) {
		return nil, nil
	}
	return r.Sources.Introspected(ctx, secret)
}

// adopt finds the record of a token of elsewhere, or has it made, and takes from
// the claims what they say at this request. It returns the snapshot in which the
// record is.
func (r *run) adopt(ctx context.Context, base *authz.Facts, snapshot Snapshot, c *authz.Claimed) (Snapshot, error) {
	token := new(authz.Token)
	granted := resolve(snapshot, c.Grants)
	known := snapshot.Token(c.Digest, token)
	if known && (token.Disabled || !same(token, c)) {
		r.dismiss(base, token)
		return snapshot, nil
	}
	if known && widens(token, c, granted) && r.real {
		// That its record shows too little is no reason to refuse a token: what was
		// approved bounds it all the same. It is tried again at another use.
		authz.Blocking(ctx)
		_, _ = r.Sources.Record(ctx, c, true)
		snapshot = r.Inventory.Snapshot()
		known, granted = snapshot.Token(c.Digest, token), resolve(snapshot, c.Grants)
	}
	if !known {
		if !r.real {
			return snapshot, nil
		}
		authz.Blocking(ctx)
		there, err := r.Sources.Record(ctx, c, false)
		if err != nil || !there {
			return snapshot, err
		}
		snapshot = r.Inventory.Snapshot()
		granted = resolve(snapshot, c.Grants)
		if !snapshot.Token(c.Digest, token) {
			return snapshot, &refusedFor{authz.Refusal{Reason: authz.ReasonInventoryUnavailable}, errNoRecord}
		}
	}
	if token.Disabled || !same(token, c) {
		r.dismiss(base, token)
		return snapshot, nil
	}
	if token.Kind != c.Kind {
		// What was decided is about the kind that the record shows.
		return snapshot, &refusedFor{authz.Refusal{Reason: authz.ReasonInventoryUnavailable}, errOtherKind}
	}
	r.out.Unknown, r.elsewhere = authz.Digest{}, true
	base.Token = present(token, c, granted, r.now)
	return snapshot, nil
}

// refusedFor is a refusal with its cause for the log.
type refusedFor struct {
	refusal authz.Refusal
	cause   error
}

func (e *refusedFor) Error() string   { return e.cause.Error() }
func (e *refusedFor) Unwrap() []error { return []error{&e.refusal, e.cause} }

// dismiss leaves a token out that is disabled, or known as somebody else's.
func (r *run) dismiss(base *authz.Facts, token *authz.Token) {
	base.Credential.Disabled = true
	r.out.Unknown = authz.Digest{}
	if token.Disabled {
		r.out.Disabled = token
	}
}

// same says whether a record is that of the claims.
func same(t *authz.Token, c *authz.Claimed) bool {
	return t.Source == c.Source && t.Owner != nil && t.Owner.Name == c.Owner
}

// widens says whether a token is more than its record shows.
func widens(t *authz.Token, c *authz.Claimed, granted []authz.Grant) bool {
	if t.Kind != c.Kind {
		return true
	}
	for _, g := range granted {
		for _, p := range g.Permissions {
			if !authz.Gives(t.Grants.All(), g.Entity, p) {
				return true
			}
		}
	}
	return false
}

// present is a token as it is at this request: the record says who it is and
// until when it may be used at most, the claims what it grants now. Global
// permissions are nobody's to claim.
func present(record *authz.Token, c *authz.Claimed, granted []authz.Grant, now time.Time) *authz.Token {
	t := *record
	t.Kind, t.Grants, t.Global = c.Kind, nil, nil
	if t.Kind == authz.KindFineGrained {
		t.Grants = authz.NewGrantSet(granted)
	}
	if t.ExpiresAt.IsZero() || !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(t.ExpiresAt) {
		t.ExpiresAt = c.ExpiresAt
	}
	if !c.IssuedAt.IsZero() && !c.IssuedAt.After(now) {
		t.CreatedAt = c.IssuedAt
	}
	return &t
}

// resolve fills in the ids of what grants are on, as the inventory has them.
// What it does not have grants nothing.
func resolve(s Snapshot, given []authz.Grant) []authz.Grant {
	var out []authz.Grant
	for _, g := range given {
		name, rest, nested := strings.Cut(g.Entity.Name, "/")
		whole := g.Entity.Type == authz.TypeOrganization || g.Entity.Type == authz.TypeUser
		o := s.Organization(name)
		if o == nil || whole == nested || nested && rest == "" || whole && o.Type != g.Entity.Type || len(g.Permissions) == 0 {
			continue
		}
		e := authz.Entity{Type: g.Entity.Type, Name: o.Name, Namespace: o.ID}
		if whole {
			e.ID = o.ID
		} else {
			e.Name = o.Name + "/" + rest
		}
		out = append(out, authz.Grant{Entity: e, Permissions: g.Permissions})
	}
	return out
}

// narrow bounds what a token may use where an approval was given by what the
// claims grant now: the snapshot made it of what the record shows.
func narrow(a *authz.Access) {
	if a.Current != nil && a.Authorization.State == authz.StateApproved {
		a.Effective = &authz.GrantSet{Grants: authz.Intersect(a.Current.Grants, a.Authorization.Grants.All())}
	}
}
