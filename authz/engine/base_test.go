package engine_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
	"github.com/patrol-authz/patrol/rego"
)

func jsonNumber(s string) json.Number { return json.Number(s) }

// base is OPA's interpreter of the base bundle.
func base(t testing.TB, o engine.Options) *engine.Topdown {
	t.Helper()
	e, err := engine.NewTopdown(t.Context(), baseOptions(t, o))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// baseOptions are options with the base bundle.
func baseOptions(t testing.TB, o engine.Options) engine.Options {
	t.Helper()
	modules, data := baseBundle(t)
	return bundleOptions(t, modules, data, o)
}

// baseBundle reads the base bundle.
func baseBundle(t testing.TB) (modules map[string]*ast.Module, data map[string]any) {
	t.Helper()
	loader, err := bundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.NewCustomReader(loader).WithProcessAnnotations(true).Read()
	if err != nil {
		t.Fatal(err)
	}
	modules = map[string]*ast.Module{}
	for _, m := range b.Modules {
		modules[m.Path] = m.Parsed
	}
	return modules, b.Data
}

// bundleOptions are options with the modules and data given.
func bundleOptions(t testing.TB, modules map[string]*ast.Module, data map[string]any, o engine.Options) engine.Options {
	t.Helper()
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	o.Compiler, o.Store = compiler, inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	o.Schema = rego.Schema()
	return o
}

func TestTheBaseBundleDecides(t *testing.T) {
	fast := evaluator(t, baseOptions(t, engine.Options{}))
	if fast.Name() != "compiled" || fast.Why() != "" {
		t.Errorf("the base bundle is evaluated by %s: %s", fast.Name(), fast.Why())
	}
	if compiled.Misindexed(baseOptions(t, engine.Options{}).Compiler) {
		t.Error("the interpreter has to go without OPA's rule index")
	}
	t.Run("topdown", func(t *testing.T) { baseDecides(t, base(t, engine.Options{})) })
	t.Run("compiled", func(t *testing.T) { baseDecides(t, fast) })
}

// fieldsReader is an evaluator that knows what its policy reads.
type fieldsReader interface {
	authz.Evaluator
	Fields() *input.Fields
}

func baseDecides(t *testing.T, e fieldsReader) {
	d, err := e.Evaluate(t.Context(), inputtest.Facts())
	if err != nil || !d.Allowed || d.Reason != "approved" {
		t.Errorf("approved: %+v %v", d, err)
	}
	f := inputtest.Facts()
	f.Authorization = &authz.Authorization{State: authz.StateNone}
	d, err = e.Evaluate(t.Context(), f)
	if err != nil || d.Allowed || d.Reason != authz.ReasonApprovalPending || !d.RequestApproval {
		t.Errorf("pending: %+v %v", d, err)
	}
	f = inputtest.Facts()
	f.Token.ExpiresAt = f.Now
	if d, err = e.Evaluate(t.Context(), f); err != nil || d.Allowed || d.Reason != authz.ReasonTokenExpired {
		t.Errorf("expired this second: %+v %v", d, err)
	}
	f = inputtest.Facts()
	f.Authorization.ExpiresAt = f.Now
	if d, err = e.Evaluate(t.Context(), f); err != nil || d.Allowed || d.Reason != authz.ReasonApprovalPending {
		t.Errorf("the approval ended this second: %+v %v", d, err)
	}
	if e.Fields().IsAll() || e.Fields().At("parsed_body") != nil || e.Fields().At("attributes") != nil {
		t.Errorf("more is built than the base bundle reads: %s", e.Fields())
	}
}

// Building only what the policy reads, frozen parts, and a compiled policy
// change no decision.
func TestNoFormOfThePolicyChangesADecision(t *testing.T) {
	patient := engine.Options{Timeout: time.Minute} // a busy machine changes none either
	pruned, whole := base(t, patient), base(t, engine.Options{AllFields: true, Timeout: time.Minute})
	fast := evaluator(t, baseOptions(t, patient))
	seed := uint64(20261124)
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // Repeatable on purpose.
	reasons := map[string]int{}
	for i := range 2000 {
		f := randomFacts(r)
		want, wantErr := whole.Evaluate(t.Context(), f)
		got, gotErr := pruned.Evaluate(t.Context(), f)
		if f.Organization != nil {
			f.Organization.Frozen = input.FreezeOrganization(f.Organization)
		}
		frozen, frozenErr := pruned.Evaluate(t.Context(), f)
		compiled, compiledErr := fast.Evaluate(t.Context(), f)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(frozen, want) || !reflect.DeepEqual(compiled, want) ||
			(gotErr == nil) != (wantErr == nil) || (frozenErr == nil) != (wantErr == nil) || (compiledErr == nil) != (wantErr == nil) {
			doc, _ := input.Document(f)
			t.Fatalf("seed %d, %d: pruned %+v %v\nfrozen %+v %v\ncompiled %+v %v\nwhole %+v %v\n%v",
				seed, i, got, gotErr, frozen, frozenErr, compiled, compiledErr, want, wantErr, doc)
		}
		if wantErr != nil {
			want.Reason = "an error"
		}
		reasons[want.Reason]++
	}
	t.Log(reasons)
	if len(reasons) < 12 {
		t.Errorf("only these outcomes were met: %v", reasons)
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomFacts(r *rand.Rand) *authz.Facts {
	f := inputtest.Facts()
	day := 24 * time.Hour
	o := f.Organization
	o.TokenPolicy = pick(r, "allow_user_access_tokens", "only_fine_grained_tokens",
		"do_not_require_administrator_approval", "require_administrator_approval", "require_administrator_approval", "unheard_of")
	o.Enforcement = pick(r, authz.Enforce, authz.Enforce, authz.Observe)
	o.Type = pick(r, authz.TypeOrganization, authz.TypeOrganization, authz.TypeOrganization, authz.TypeUser)
	if r.IntN(4) == 0 {
		o.NextTokenPolicy, o.EnforceAt = "require_administrator_approval", f.Now.Add(day)
	}
	if r.IntN(5) == 0 {
		o.Settings = map[string]any{"max_token_age_days": 1, "public_read": "refuse"}
	}
	f.Token.Kind = pick(r, authz.KindRead, authz.KindWrite, authz.KindFineGrained, authz.KindFineGrained, authz.KindFineGrained)
	f.Token.ExpiresAt = pick(r, time.Time{}, f.Now.Add(day), f.Now.Add(day), f.Now.Add(day), f.Now.Add(-day))
	f.Authorization.State = pick(r, authz.StateNone, authz.StateApproved, authz.StateApproved, authz.StateDenied, authz.StateRevoked)
	f.Authorization.ExpiresAt = pick(r, time.Time{}, f.Now.Add(day), f.Now.Add(-day))
	f.Authorization.Suspended = r.IntN(8) == 0
	f.Authorization.AdminCreated = r.IntN(4) == 0
	f.Membership.Role = pick(r, "admin", "write", "contributor", "read", "no_access")
	f.Route.Access = pick(r, authz.AccessOrganization, authz.AccessOrganization, authz.AccessOrganization,
		authz.AccessAuthenticated, authz.AccessPublic, authz.AccessUnmanaged)
	f.Route.Permission = pick(r, "repo.content.read", "repo.write", "org.settings.write", "unheard.of")
	f.Route.Resource.Visibility = pick(r, "", "public", "private")
	if f.Token.Kind != authz.KindFineGrained {
		f.Current, f.Effective, f.Token.Grants = nil, nil, nil
	} else if r.IntN(8) == 0 {
		f.Current, f.Effective = &authz.GrantSet{}, &authz.GrantSet{}
	}
	for _, drop := range []func(){
		func() { f.Token, f.Authorization, f.Current, f.Effective = nil, nil, nil, nil },
		func() { f.Organization = nil },
		func() { f.Membership = nil },
		func() { f.Route = nil },
		func() { f.Authorization = nil },
		func() {
			f.Credential, f.Token, f.Authorization = authz.CredentialFacts{State: authz.CredentialMissing}, nil, nil
		},
		func() { f.Route.Resource = nil },
	} {
		if r.IntN(12) == 0 && f.Route != nil {
			drop()
		}
	}
	return f
}

func BenchmarkInput(b *testing.B) {
	e := base(b, engine.Options{})
	for name, fields := range map[string]*input.Fields{"pruned": e.Fields(), "whole": nil} {
		b.Run(name, func(b *testing.B) {
			builder := input.New(input.Options{Fields: fields})
			f := inputtest.Facts()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := builder.Value(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
