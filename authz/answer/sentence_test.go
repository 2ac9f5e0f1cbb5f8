package answer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// values are all placeholders at once: the plain statement of what each one
// stands for, which [problem.value] has to agree with.
func values(p *problem) map[string]string {
	v := map[string]string{"detail": "", "since": "", "comment": "", "asked": "", "resource": "the resource"}
	for k, x := range p.outcome.Decision.Params {
		v[k] = fmt.Sprint(x)
	}
	if r := p.outcome.Request; r != nil {
		path, _, _ := strings.Cut(r.Path(), "?")
		v["method"], v["path"] = r.Method(), cut(path, 120)
	}
	f := p.outcome.Facts
	if f == nil {
		return v
	}
	inside := f.Organization != nil && f.Membership != nil && f.Token != nil && p.reason.Outside == "" && p.reason.HTTPStatus != 401 &&
		(f.Token.ExpiresAt.IsZero() || f.Token.ExpiresAt.After(f.Now))
	if r := f.Route; r != nil {
		v["permission"] = r.Permission
		if len(r.Organizations) > 0 {
			v["organization"] = cut(strings.ToLower(r.Organizations[0]), 100)
		}
		if r.Resource != nil && r.Resource.Name != "" && (inside || len(r.Organizations) == 0) {
			v["resource"] = r.Resource.Type + " " + cut(r.Resource.Name, 200)
		}
	}
	if inside {
		v["organization"] = f.Organization.Name
	}
	if inside || f.Route != nil && len(f.Route.Organizations) > 0 {
		v["asked_organization"] = v["organization"]
	}
	if t := f.Token; t != nil {
		v["token"], v["kind"] = tokenName(t), t.Kind
		if !t.ExpiresAt.IsZero() {
			v["expires_at"] = t.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")
		}
	}
	a := f.Authorization
	if a == nil || !inside {
		return v
	}
	if !a.ChangedAt.IsZero() {
		v["since"] = " on " + a.ChangedAt.UTC().Format(time.DateOnly)
	}
	if a.Comment != "" {
		v["comment"] = ` ("` + cut(oneLine(a.Comment), 200) + `")`
	}
	if q := p.outcome.Approval; q != nil && !q.OpenedAt.IsZero() {
		v["asked"] = ", asked for on " + q.OpenedAt.UTC().Format(time.DateOnly)
	}
	if a.State == authz.StateApproved && !a.ExpiresAt.IsZero() {
		v["asked"] += ", since its approval ended on " + a.ExpiresAt.UTC().Format(time.DateOnly)
	}
	return v
}

var placeholders = []string{
	"detail", "since", "comment", "asked", "resource", "method", "path", "permission", "asked_organization",
	"organization", "token", "kind", "expires_at", "unknown", "scope", "",
}

func TestEachPlaceholderStandsForWhatItIsSaidToStandFor(t *testing.T) {
	filled := map[string]int{}
	for seed := range 20_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		p := &problem{outcome: someOutcome(r), reason: &authz.Reason{Outside: []string{"", "", "other"}[r.IntN(3)], HTTPStatus: []int{401, 403, 403, 503}[r.IntN(4)]}, opts: &Options{}}
		want := values(p)
		for _, name := range placeholders {
			if got := p.value(name); got != want[name] {
				t.Fatalf("{%s} is %q, want %q, for %+v", name, got, want[name], p.outcome)
			} else if got != "" {
				filled[name]++
			}
		}
	}
	for _, name := range placeholders[:13] {
		if filled[name] < 100 {
			t.Errorf("{%s} was filled %d times only", name, filled[name])
		}
	}
}

func someOutcome(r *rand.Rand) *authz.Outcome {
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	yes := func() bool { return r.IntN(3) > 0 }
	at := func() time.Time {
		if yes() {
			return time.Date(2026, 11, 24, 23, 59, 0, 0, time.FixedZone("", 3600*r.IntN(5)))
		}
		return time.Time{}
	}
	o := &authz.Outcome{Decision: authz.Decision{Params: map[string]any{}}}
	for _, name := range placeholders {
		if r.IntN(4) == 0 {
			o.Decision.Params[name] = []any{"a text", 7, nil, true, []any{"x"}}[r.IntN(5)]
		}
	}
	if yes() {
		o.Approval = &authz.ApprovalRequest{OpenedAt: at()}
	}
	if !yes() {
		return o
	}
	f := &authz.Facts{}
	o.Facts = f
	if yes() {
		f.Route = &authz.Route{Permission: one("", "repo.write")}
		if yes() {
			f.Route.Organizations = []string{one("Acme", strings.Repeat("é", 90))}
		}
		if yes() {
			f.Route.Resource = &authz.Resource{Type: "model", Name: one("", "acme/model", strings.Repeat("x", 300))}
		}
	}
	if yes() {
		f.Organization = &authz.Organization{Name: one("acme", "")}
		if yes() {
			f.Membership = &authz.Membership{Role: "read"}
		}
	}
	if r.IntN(8) == 0 {
		f.Now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if yes() {
		f.Token = &authz.Token{DisplayName: one("ci", "a\nb", ""), Last4: one("", "wxyz"), Kind: one("read", ""), ExpiresAt: at()}
	}
	if yes() {
		f.Authorization = &authz.Authorization{State: one("approved", "denied"), ExpiresAt: at(), ChangedAt: at(), Comment: one("", "ask\tus", strings.Repeat("c", 300))}
	}
	if yes() {
		o.Request = asked{one("GET", ""), one("/x?y", "/"+strings.Repeat("p", 200))}
	}
	return o
}

type asked struct{ method, path string }

func (a asked) Method() string                     { return a.method }
func (a asked) Path() string                       { return a.path }
func (asked) Host() string                         { return "" }
func (asked) Scheme() string                       { return "" }
func (asked) Protocol() string                     { return "" }
func (asked) ID() string                           { return "" }
func (asked) Header(string) (string, int)          { return "", 0 }
func (asked) EachHeader(func(string, string) bool) {}
func (asked) Body() authz.Body                     { return authz.Body{} }
func (asked) Extension(string) (string, bool)      { return "", false }
func (asked) Source() authz.Peer                   { return authz.Peer{} }
func (asked) Destination() authz.Peer              { return authz.Peer{} }
func (asked) Attributes() (map[string]any, error)  { return nil, nil }
