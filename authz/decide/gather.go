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
		digest := r.Digester.Secret(cred.Secret)
		base.Token = snapshot.Token(digest)
		switch {
		case base.Token == nil:
			r.out.Unknown = digest
		case base.Token.Disabled:
			r.out.Disabled = base.Token
			base.Token, base.Credential.Disabled = nil, true
		}
	}
	if route == nil || len(route.Organizations) == 0 {
		return []*authz.Facts{base}, nil
	}
	all := make([]*authz.Facts, len(route.Organizations))
	for i, name := range route.Organizations {
		f := *base
		if name == routing.CallerNamespace {
			name = ""
			if f.Token != nil && f.Token.Owner != nil {
				name = f.Token.Owner.Name
			}
		}
		r.organize(&f, snapshot, name)
		all[i] = &f
	}
	return all, nil
}

func (r *run) organize(f *authz.Facts, snapshot Snapshot, name string) {
	f.Organization = snapshot.Organization(name).At(r.now)
	if f.Organization == nil || f.Token == nil {
		return
	}
	if f.Token.Owner != nil {
		f.Membership = snapshot.Membership(f.Organization.ID, f.Token.Owner.ID)
	}
	a := snapshot.Access(f.Token, f.Organization)
	f.Authorization, f.Current, f.Effective = a.Authorization, a.Current, a.Effective
}

// leaked finds the known token whose secret stands in a query string.
func (r *run) leaked(query string) {
	snapshot := r.Inventory.Snapshot()
	if snapshot == nil {
		return
	}
	for _, secret := range credential.InQuery(query) {
		if t := snapshot.Token(r.Digester.Secret(secret)); t != nil {
			r.out.Leaked = t
			return
		}
	}
}
