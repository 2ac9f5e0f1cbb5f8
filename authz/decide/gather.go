package decide

import (
	"context"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/routing"
)

// gather finds the token and, for each organization of the route, what holds
// between them. Without a route there is one Facts, for Rego to refuse.
func (r *run) gather(ctx context.Context, route *authz.Route, cred credential.Credential, claimed *authz.Claimed) ([]*authz.Facts, error) {
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
	if cred.Secret != (credential.Secret{}) {
		r.identify(base, snapshot, r.Digester.Secret(cred.Secret))
		var err error
		if route != nil {
			claimed, err = r.introspected(ctx, cred.Secret)
		}
		if err != nil {
			return nil, err
		}
	}
	if claimed != nil && route != nil {
		var err error
		if snapshot, err = r.adopt(ctx, base, snapshot, claimed); err != nil {
			return nil, err
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

// identify finds the token of a secret, or the one that had it before. A secret
// that was rotated away is as good as that of a token disabled everywhere: who
// sends it is never let through as somebody unknown.
func (r *run) identify(base *authz.Facts, snapshot Snapshot, digest authz.Digest) {
	token := new(authz.Token)
	if !snapshot.Token(digest, token) {
		until, known := snapshot.Former(digest, token)
		switch {
		case !known:
			r.out.Unknown = digest
			return
		case !r.started.Before(until):
			r.out.Reused, r.out.ReusedDigest, base.Credential.Disabled = token, digest, true
			return
		}
		r.formerUntil, r.out.Former = until, true
	}
	if token.Disabled {
		r.out.Disabled, base.Credential.Disabled = token, true
		return
	}
	base.Token = token
}

// gathered is the facts on one organization, with the memory of some of them.
type gathered struct {
	facts  authz.Facts
	access authz.Access
}

func (r *run) organize(g *gathered, snapshot Snapshot, name string) {
	f := &g.facts
	f.Organization = snapshot.Organization(name).At(r.now)
	if f.Organization == nil {
		return
	}
	f.Route = underName(f.Route, name, f.Organization.Name)
	if f.Token == nil {
		return
	}
	if f.Token.Owner != nil {
		f.Membership = snapshot.Membership(f.Organization, f.Token.Owner)
	}
	snapshot.Access(f.Token, f.Organization, &g.access)
	if r.elsewhere {
		narrow(&g.access)
	}
	f.Authorization, f.Current, f.Effective = &g.access.Authorization, g.access.Current, g.access.Effective
}

// underName names what a request is about by the organization's present name,
// where the request has another: grants name it so.
func underName(route *authz.Route, asked, present string) *authz.Route {
	if asked == present || route == nil || route.Resource == nil {
		return route
	}
	rest, ok := strings.CutPrefix(route.Resource.Name, asked+"/")
	if !ok {
		return route
	}
	named, resource := *route, *route.Resource
	resource.Name = present + "/" + rest
	named.Resource = &resource
	return &named
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
