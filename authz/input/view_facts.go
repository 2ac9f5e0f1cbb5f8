package input

import (
	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// The objects of patrol's part of the document, as [addFacts] builds them. Each
// is the view by another name, so that it takes no memory.

type clientView View

// Get implements [compiled.Lazy].
func (v *clientView) Get(key string) compiled.Value {
	switch key {
	case "address":
		return text(v.f.Client.Address)
	case "network":
		return text(v.f.Client.Network)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *clientView) Fill(put func(string, compiled.Value)) { fill(v, put, "address", "network") }

type credentialView View

// Get implements [compiled.Lazy].
func (v *credentialView) Get(key string) compiled.Value {
	switch key {
	case "state":
		return text(v.f.Credential.State)
	case "scheme":
		return text(v.f.Credential.Scheme)
	case "disabled":
		return compiled.Boolean(v.f.Credential.Disabled)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *credentialView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "state", "scheme", "disabled")
}

type tokenView View

// Get implements [compiled.Lazy].
func (v *tokenView) Get(key string) compiled.Value {
	t := v.f.Token
	switch key {
	case "id":
		return text(t.ID)
	case "display_name":
		return text(t.DisplayName)
	case "last4":
		return text(t.Last4)
	case "kind":
		return text(t.Kind)
	case "source":
		return text(t.Source)
	case "created_at":
		return timeText(t.CreatedAt)
	case "expires_at":
		return timeText(t.ExpiresAt)
	case "expired":
		return compiled.Boolean(ended(t.ExpiresAt, v.f.Now))
	case "age_seconds":
		if !t.CreatedAt.IsZero() {
			return compiled.Integer(seconds(v.f.Now.Sub(t.CreatedAt)))
		}
	case "remaining_seconds":
		if !t.ExpiresAt.IsZero() {
			return compiled.Integer(seconds(t.ExpiresAt.Sub(v.f.Now)))
		}
	case "owner":
		return (*View)(v).object(viewOwner, t.Owner != nil, (*ownerView)(v))
	case "grants":
		return grantsValue(t.Grants, t.Kind == authz.KindFineGrained)
	case "global":
		return v.m.Texts(t.Global)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *tokenView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "id", "display_name", "last4", "kind", "source", "created_at", "expires_at", "expired", "age_seconds",
		"remaining_seconds", "owner", "grants", "global")
}

type ownerView View

// Get implements [compiled.Lazy].
func (v *ownerView) Get(key string) compiled.Value {
	switch key {
	case "name":
		return text(v.f.Token.Owner.Name)
	case "type":
		return text(v.f.Token.Owner.Type)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *ownerView) Fill(put func(string, compiled.Value)) { fill(v, put, "name", "type") }

// organizationView is an organization that was not frozen.
type organizationView View

// Get implements [compiled.Lazy].
func (v *organizationView) Get(key string) compiled.Value {
	o := v.f.Organization
	switch key {
	case "id":
		return text(o.ID)
	case "name":
		return text(o.Name)
	case "type":
		return text(o.Type)
	case "token_policy":
		return text(o.TokenPolicy)
	case "next_token_policy":
		return text(o.NextTokenPolicy)
	case "enforce_at":
		if o.NextTokenPolicy != "" {
			return timeText(o.EnforceAt)
		}
	case "enforcement":
		return text(o.Enforcement)
	case "managed_by":
		return text(o.ManagedBy)
	case "settings":
		settings, _ := (*View)(v).settings() // Reset met the error
		return settings
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *organizationView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "id", "name", "type", "token_policy", "next_token_policy", "enforce_at", "enforcement", "managed_by", "settings")
}

// settings are an organization's that was not frozen.
func (v *View) settings() (compiled.Value, error) {
	if _, ok := v.f.Organization.Frozen.(*frozen); ok {
		return compiled.Value{}, nil
	}
	if !v.objects[viewSettings].Defined() {
		t, err := settingsTerm(v.f.Organization)
		if err != nil {
			return compiled.Value{}, err
		}
		v.objects[viewSettings] = v.m.FromTerm(t)
	}
	return v.objects[viewSettings], nil
}

type membershipView View

// Get implements [compiled.Lazy].
func (v *membershipView) Get(key string) compiled.Value {
	switch key {
	case "role":
		return text(v.f.Membership.Role)
	case "since":
		return timeText(v.f.Membership.Since)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *membershipView) Fill(put func(string, compiled.Value)) { fill(v, put, "role", "since") }

type authorizationView View

// Get implements [compiled.Lazy].
func (v *authorizationView) Get(key string) compiled.Value {
	a := v.f.Authorization
	switch key {
	case "state":
		return text(a.State)
	case "expires_at":
		return timeText(a.ExpiresAt)
	case "expired":
		return compiled.Boolean(ended(a.ExpiresAt, v.f.Now))
	case "suspended":
		return compiled.Boolean(a.Suspended)
	case "admin_created":
		return compiled.Boolean(a.AdminCreated)
	case "grants":
		return grantsValue(a.Grants, false)
	case "current":
		return grantsValue(v.f.Current, v.fineGrained())
	case "effective":
		return grantsValue(v.f.Effective, v.fineGrained())
	case "request":
		return (*View)(v).object(viewApproval, a.Request != nil, (*approvalView)(v))
	}
	return compiled.Value{}
}

func (v *authorizationView) fineGrained() bool {
	return v.f.Token != nil && v.f.Token.Kind == authz.KindFineGrained
}

// Fill implements [compiled.Lazy].
func (v *authorizationView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "state", "expires_at", "expired", "suspended", "admin_created", "grants", "current", "effective", "request")
}

type approvalView View

// Get implements [compiled.Lazy].
func (v *approvalView) Get(key string) compiled.Value {
	r := v.f.Authorization.Request
	switch key {
	case "id":
		return text(r.ID)
	case "state":
		return text(r.State)
	case "opened_at":
		return timeText(r.OpenedAt)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *approvalView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "id", "state", "opened_at")
}

type routeView View

// Get implements [compiled.Lazy].
func (v *routeView) Get(key string) compiled.Value {
	r := v.f.Route
	switch key {
	case "pattern":
		return text(r.Pattern)
	case "access":
		return text(r.Access)
	case "permission":
		return text(r.Permission)
	case "organizations":
		return v.m.Texts(r.Organizations)
	case "resource":
		return (*View)(v).object(viewResource, r.Resource != nil, (*resourceView)(v))
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *routeView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "pattern", "access", "permission", "organizations", "resource")
}

type resourceView View

// Get implements [compiled.Lazy].
func (v *resourceView) Get(key string) compiled.Value {
	r := v.f.Route.Resource
	switch key {
	case "type":
		return text(r.Type)
	case "id":
		return text(r.ID)
	case "name":
		return text(r.Name)
	case "visibility":
		return text(r.Visibility)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *resourceView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "type", "id", "name", "visibility")
}
