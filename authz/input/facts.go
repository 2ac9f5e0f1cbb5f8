package input

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// contract is the version of patrol's part of the document.
const contract = 1

// addFacts puts patrol's part of the document in.
func addFacts(doc *object, f *authz.Facts) error {
	if doc.reads("patrol") {
		b := newObject(doc.fields.At("patrol"), 1)
		b.number("version", contract)
		doc.add("patrol", b.value())
	}
	doc.time("now", f.Now)
	if doc.reads("client") && f.Client != (authz.Client{}) {
		b := newObject(doc.fields.At("client"), 2)
		b.text("address", f.Client.Address)
		b.text("network", f.Client.Network)
		doc.add("client", b.value())
	}
	if doc.reads("credential") && f.Credential != (authz.CredentialFacts{}) {
		b := newObject(doc.fields.At("credential"), 3)
		b.text("state", f.Credential.State)
		b.text("scheme", f.Credential.Scheme)
		b.flag("disabled", f.Credential.Disabled)
		doc.add("credential", b.value())
	}
	if doc.reads("token") && f.Token != nil {
		doc.add("token", token(f.Token, f.Now, doc.fields.At("token")))
	}
	if doc.reads("organization") && f.Organization != nil {
		v, err := organization(f.Organization, doc.fields.At("organization"))
		if err != nil {
			return err
		}
		doc.add("organization", v)
	}
	if doc.reads("membership") && f.Membership != nil {
		b := newObject(doc.fields.At("membership"), 2)
		b.text("role", f.Membership.Role)
		b.time("since", f.Membership.Since)
		doc.add("membership", b.value())
	}
	if doc.reads("authorization") && f.Authorization != nil {
		doc.add("authorization", authorization(f, doc.fields.At("authorization")))
	}
	if doc.reads("route") && f.Route != nil {
		doc.add("route", route(f.Route, doc.fields.At("route")))
	}
	return nil
}

func token(t *authz.Token, now time.Time, fields *Fields) ast.Value {
	b := newObject(fields, 13)
	b.text("id", t.ID)
	b.text("display_name", t.DisplayName)
	b.text("last4", t.Last4)
	b.text("kind", t.Kind)
	b.text("source", t.Source)
	b.time("created_at", t.CreatedAt)
	b.time("expires_at", t.ExpiresAt)
	b.flag("expired", ended(t.ExpiresAt, now))
	if !t.CreatedAt.IsZero() {
		b.number("age_seconds", seconds(now.Sub(t.CreatedAt)))
	}
	if !t.ExpiresAt.IsZero() {
		b.number("remaining_seconds", seconds(t.ExpiresAt.Sub(now)))
	}
	if b.reads("owner") && t.Owner != nil {
		o := newObject(fields.At("owner"), 2)
		o.text("name", t.Owner.Name)
		o.text("type", t.Owner.Type)
		b.add("owner", o.value())
	}
	if b.reads("grants") {
		b.add("grants", grants(t.Grants, t.Kind == authz.KindFineGrained))
	}
	b.texts("global", t.Global)
	return b.value()
}

func authorization(f *authz.Facts, fields *Fields) ast.Value {
	a := f.Authorization
	b := newObject(fields, 9)
	b.text("state", a.State)
	b.time("expires_at", a.ExpiresAt)
	b.flag("expired", ended(a.ExpiresAt, f.Now))
	b.flag("suspended", a.Suspended)
	b.flag("admin_created", a.AdminCreated)
	if b.reads("grants") {
		b.add("grants", grants(a.Grants, false))
	}
	fineGrained := f.Token != nil && f.Token.Kind == authz.KindFineGrained
	if b.reads("current") {
		b.add("current", grants(f.Current, fineGrained))
	}
	if b.reads("effective") {
		b.add("effective", grants(f.Effective, fineGrained))
	}
	if b.reads("request") && a.Request != nil {
		r := newObject(fields.At("request"), 3)
		r.text("id", a.Request.ID)
		r.text("state", a.Request.State)
		r.time("opened_at", a.Request.OpenedAt)
		b.add("request", r.value())
	}
	return b.value()
}

func route(r *authz.Route, fields *Fields) ast.Value {
	b := newObject(fields, 5)
	b.text("pattern", r.Pattern)
	b.text("access", r.Access)
	b.text("permission", r.Permission)
	b.texts("organizations", r.Organizations)
	if b.reads("resource") && r.Resource != nil {
		o := newObject(fields.At("resource"), 4)
		o.text("type", r.Resource.Type)
		o.text("id", r.Resource.ID)
		o.text("name", r.Resource.Name)
		o.text("visibility", r.Resource.Visibility)
		b.add("resource", o.value())
	}
	return b.value()
}

// ended says whether an end, where there is one, has come.
func ended(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
