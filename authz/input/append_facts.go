package input

import (
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// AppendFacts appends patrol's part of the document of some facts as JSON, all
// but the request's own, without making values of it. Texts, but not names, go
// through text where it is not nil.
func AppendFacts(out []byte, f *authz.Facts, text func(string) string) ([]byte, error) {
	w := writer{out, text, nil}
	w.open()
	w.begin("patrol")
	w.number("version", contract)
	w.end()
	w.time("now", f.Now)
	if f.Client != (authz.Client{}) {
		w.begin("client")
		w.text("address", f.Client.Address)
		w.text("network", f.Client.Network)
		w.end()
	}
	if f.Credential != (authz.CredentialFacts{}) {
		w.begin("credential")
		w.text("state", f.Credential.State)
		w.text("scheme", f.Credential.Scheme)
		w.flag("disabled", f.Credential.Disabled)
		w.end()
	}
	if f.Token != nil {
		w.token(f.Token, f.Now)
	}
	if f.Organization != nil {
		w.organization(f.Organization)
	}
	if f.Membership != nil {
		w.begin("membership")
		w.text("role", f.Membership.Role)
		w.time("since", f.Membership.Since)
		w.end()
	}
	if f.Authorization != nil {
		w.authorization(f)
	}
	if f.Route != nil {
		w.route(f.Route)
	}
	w.end()
	return w.out, w.err
}

func (w *writer) token(t *authz.Token, now time.Time) {
	w.begin("token")
	w.text("id", t.ID)
	w.text("display_name", t.DisplayName)
	w.text("last4", t.Last4)
	w.text("kind", t.Kind)
	w.text("source", t.Source)
	w.time("created_at", t.CreatedAt)
	w.time("expires_at", t.ExpiresAt)
	w.flag("expired", ended(t.ExpiresAt, now))
	if !t.CreatedAt.IsZero() {
		w.number("age_seconds", seconds(now.Sub(t.CreatedAt)))
	}
	if !t.ExpiresAt.IsZero() {
		w.number("remaining_seconds", seconds(t.ExpiresAt.Sub(now)))
	}
	if t.Owner != nil {
		w.begin("owner")
		w.text("name", t.Owner.Name)
		w.text("type", t.Owner.Type)
		w.end()
	}
	w.grants("grants", t.Grants, t.Kind == authz.KindFineGrained)
	w.texts("global", t.Global)
	w.end()
}

func (w *writer) organization(o *authz.Organization) {
	if f, ok := o.Frozen.(*frozen); ok {
		w.name("organization")
		w.frozen(f.value)
		return
	}
	v, err := organization(o, everything)
	if err != nil {
		w.fail(err)
		return
	}
	w.name("organization")
	w.value(v)
}

func (w *writer) authorization(f *authz.Facts) {
	a := f.Authorization
	w.begin("authorization")
	w.text("state", a.State)
	w.time("expires_at", a.ExpiresAt)
	w.flag("expired", ended(a.ExpiresAt, f.Now))
	w.flag("suspended", a.Suspended)
	w.flag("admin_created", a.AdminCreated)
	w.grants("grants", a.Grants, false)
	fineGrained := f.Token != nil && f.Token.Kind == authz.KindFineGrained
	w.grants("current", f.Current, fineGrained)
	w.grants("effective", f.Effective, fineGrained)
	if a.Request != nil {
		w.begin("request")
		w.text("id", a.Request.ID)
		w.text("state", a.Request.State)
		w.time("opened_at", a.Request.OpenedAt)
		w.end()
	}
	w.end()
}

func (w *writer) route(r *authz.Route) {
	w.begin("route")
	w.text("pattern", r.Pattern)
	w.text("access", r.Access)
	w.text("permission", r.Permission)
	w.texts("organizations", r.Organizations)
	if r.Resource != nil {
		w.begin("resource")
		w.text("type", r.Resource.Type)
		w.text("id", r.Resource.ID)
		w.text("name", r.Resource.Name)
		w.text("visibility", r.Resource.Visibility)
		w.end()
	}
	w.end()
}

func (w *writer) grants(key string, set *authz.GrantSet, always bool) {
	if v := grantsValue(set, always); v.Defined() {
		w.name(key)
		w.frozen(v)
	}
}

// frozen writes a value that was frozen.
func (w *writer) frozen(v compiled.Value) {
	switch v.Kind() {
	case compiled.Bool:
		w.out = strconv.AppendBool(w.out, v.IsTrue())
	case compiled.Int, compiled.Num:
		w.out = append(w.out, v.NumberText()...)
	case compiled.Str:
		w.quoteText(v.Str())
	case compiled.Arr, compiled.Set:
		all := v.Elems()
		w.list('[', ']', len(all), func(i int) { w.frozen(all[i]) })
	case compiled.Obj:
		w.open()
		for k, member := range v.Members {
			if k.Kind() == compiled.Str {
				w.name(k.Str())
			} else {
				w.name(k.String())
			}
			w.frozen(member)
		}
		w.end()
	default:
		w.value(ast.NullValue)
	}
}

// Objects, member by member. As in a document, an empty text and a zero time
// are absent.

func (w *writer) open() { w.out = append(w.out, '{') }
func (w *writer) end()  { w.out = append(w.out, '}') }

func (w *writer) name(key string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.quote(key)
	w.out = append(w.out, ':')
}

func (w *writer) begin(key string) {
	w.name(key)
	w.open()
}

func (w *writer) text(key, s string) {
	if s != "" {
		w.name(key)
		w.quoteText(s)
	}
}

func (w *writer) flag(key string, b bool) {
	w.name(key)
	w.out = strconv.AppendBool(w.out, b)
}

func (w *writer) number(key string, n int64) {
	w.name(key)
	w.out = strconv.AppendInt(w.out, n, 10)
}

func (w *writer) time(key string, t time.Time) {
	if !t.IsZero() {
		w.name(key)
		w.out = append(t.UTC().AppendFormat(append(w.out, '"'), time.RFC3339), '"')
	}
}

func (w *writer) texts(key string, list []string) {
	w.name(key)
	w.list('[', ']', len(list), func(i int) { w.quoteText(list[i]) })
}
