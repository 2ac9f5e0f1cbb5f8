package decide

import (
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/routing"
)

// gather finds the token and, for each organization of the route, what holds
// between them. Without a route there is one Facts, for Rego to refuse.
func (r *run) gather(route *authz.Route, cred credential.Credential) ([]*authz.Facts, error) {
	snapshot := r.Inventory.Snapshot()
	if snapshot == nil {
		r.out.Err = fmt.Errorf("the inventory has not been read yet")
		return nil, &authz.Refusal{Reason: authz.ReasonInventoryUnavailable}
	}
	if age := r.started.Sub(snapshot.AsOf()); age > r.MaxStaleness {
		r.out.Err = fmt.Errorf("the inventory was last read %s ago", age.Round(1e9))
		return nil, &authz.Refusal{Reason: authz.ReasonInventoryUnavailable}
	}
	base := r.facts(route)
	base.Credential = cred.Facts
	if cred.Facts.State == authz.CredentialPresent {
		digest, token := r.Digester.Secret(cred.Secret), new(authz.Token)
		switch {
		case !snapshot.Token(digest, token):
			r.out.Unknown = digest
		case token.Disabled:
			r.out.Disabled, base.Credential.Disabled = token, true
		default:
			base.Token = token
		}
	}
	if route == nil || len(route.Organizations) == 0 {
		return []*authz.Facts{base}, nil
	}
	all, each := make([]*authz.Facts, len(route.Organizations)), make([]gathered, len(route.Organizations))
	for i, name := range route.Organizations {
		g := &each[i]
		g.facts = *base
		if name == routing.CallerNamespace {
			name = ""
			if base.Token != nil && base.Token.Owner != nil {
				name = base.Token.Owner.Name
			}
		}
		r.organize(g, snapshot, name)
		all[i] = &g.facts
	}
	return all, nil
}

// gathered is the facts on one organization, with the memory of some of them.
type gathered struct {
	facts  authz.Facts
	access authz.Access
}

func (r *run) organize(g *gathered, snapshot Snapshot, name string) {
	f := &g.facts
	f.Organization = snapshot.Organization(name).At(r.now)
	if f.Organization == nil || f.Token == nil {
		return
	}
	if f.Token.Owner != nil {
		f.Membership = snapshot.Membership(f.Organization, f.Token.Owner)
	}
	snapshot.Access(f.Token, f.Organization, &g.access)
	f.Authorization, f.Current, f.Effective = &g.access.Authorization, g.access.Current, g.access.Effective
}

// leaked finds the known token whose secret stands in a query string.
func (r *run) leaked(query string) {
	snapshot := r.Inventory.Snapshot()
	if snapshot == nil {
		return
	}
	for _, secret := range credential.InQuery(query) {
		if t := new(authz.Token); snapshot.Token(r.Digester.Secret(secret), t) {
			r.out.Leaked = t
			return
		}
	}
}
