package extauthz

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/wire"
	"github.com/patrol-authz/patrol/rego"
)

// catalogue is the base bundle's and Go's own, and some reasons that others
// could write.
func catalogue(t testing.TB) []*authz.Reason {
	t.Helper()
	b, err := fs.ReadFile(rego.Base(), "patrol/catalogue/data.json")
	if err != nil {
		t.Fatal(err)
	}
	all := authz.Catalogue{}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for code, r := range all {
		r.Code = code
	}
	maps.Copy(all, authz.BuiltinReasons)
	all["linked"] = &authz.Reason{Code: "linked", HTTPStatus: 403, GRPCStatus: 7, Title: `A "title" & more`, Sentence: "See <there>.", Link: "https://x.example/?a={organization}&b={token}"}
	all["anywhere"] = &authz.Reason{Code: "anywhere", HTTPStatus: 403, GRPCStatus: 7, Title: "Anywhere", Sentence: "It's + there.", Link: "{detail}"}
	all["untold"] = &authz.Reason{Code: "untold", HTTPStatus: 404, GRPCStatus: 5, Title: "Untold é"}
	all["wild"] = &authz.Reason{Code: "wild", HTTPStatus: 700, GRPCStatus: 0, Title: "Wild", Sentence: "{token} {organization} {permission} {resource} {path} {detail} {since} {comment} {asked} qZv"}
	var list []*authz.Reason
	for _, code := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[code])
	}
	return list
}

// clients are the forms, by what makes them.
var clients = []map[string]string{
	{},
	{"accept": "text/html,*/*", "user-agent": "Mozilla/5.0"},
	{"content-type": "application/grpc"},
	{"user-agent": "git/2.43"},
	{"user-agent": "git-lfs/3.4"},
	{":path": "/v2/acme/model/manifests/latest"},
}

func clientRequest(t testing.TB, client map[string]string, method string) authz.Request {
	t.Helper()
	path := client[":path"]
	if path == "" {
		path = "/api/models/acme/model?x=y"
	}
	b, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Method: method, Path: path, Headers: client},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.Parse(string(b), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var oddTexts = []string{"", "é", "a\"b", "a&b<c>", "a\r\nb", "\xff", "a b", "qZvaZq", "javascript:alert(1)", "javascript:alert", "a+b,c:d", "it's", "https://x.example/a?b=c&d=e+f%20g", strings.Repeat("long ", 300), "a/b?c"}

// outcomes makes outcomes of a reason in all shapes.
type outcomes struct {
	*rand.Rand
	// odd is one in how many values that need care; 0: none.
	odd int
}

func (r outcomes) yes() bool { return r.IntN(4) > 0 }

func (r outcomes) text(usual string) string {
	if r.odd > 0 && r.IntN(r.odd) == 0 {
		return oddTexts[r.IntN(len(oddTexts))]
	}
	return usual
}

func (r outcomes) make(reason *authz.Reason, request authz.Request) *authz.Outcome {
	o := &authz.Outcome{
		DecisionID: r.text("01a20daf-8d3a-7c75-94a4-182374a6e5b3"), RequestID: r.text("8c2a7c1e-0000-4000-8000-000000000001"), Revision: r.text("1+local.7"), Request: request,
		Decision: authz.Decision{Allowed: reason.Allow, Reason: reason.Code, Params: map[string]any{"detail": r.text("it is so"), "n": 7}}, Reason: reason,
	}
	if r.yes() {
		o.Policy = r.text("require_administrator_approval")
	}
	if reason.Allow && r.IntN(5) == 0 {
		o.Decision.Anonymous = true
	}
	if reason.Allow && r.yes() {
		o.Shown = []string{r.text("acme"), "open-lab"}[:1+r.IntN(2)]
	}
	if r.IntN(3) == 0 {
		o.Warnings = []authz.Warning{{Topic: "observed", Text: r.text("be warned")}, {Topic: "token_expires", Text: r.text(`in "a" day`)}, {Topic: "grace_period"}}[:1+r.IntN(3)]
	}
	if r.odd > 0 && r.IntN(r.odd) == 0 {
		o.Decision.Envoy = &authz.EnvoyDecision{HTTPStatus: 418, Body: r.text("tea"), HasBody: true, Headers: []authz.HeaderValue{{Name: "x-Own", Value: r.text("v")}}, Metadata: map[string]any{"k": 1}}
	}
	if r.yes() {
		o.Approval = &authz.ApprovalRequest{State: r.text("open"), OpenedAt: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
		if r.yes() {
			o.Approval.ID = r.text("01a20daf-8d3a-7c75-94a4-000000000000")
		}
	}
	if r.yes() {
		o.Facts = r.facts()
	}
	return o
}

func (r outcomes) facts() *authz.Facts {
	f := &authz.Facts{}
	if r.yes() {
		f.Credential.State = authz.CredentialPresent
	}
	if r.yes() {
		f.Route = &authz.Route{Permission: r.text("repo.content.read"), Organizations: []string{r.text("Acme")}}
		if r.yes() {
			f.Route.Resource = &authz.Resource{Type: "model", Name: r.text("acme/model")}
		}
	}
	if r.yes() {
		f.Organization = &authz.Organization{Name: r.text("acme")}
		if r.yes() {
			f.Membership = &authz.Membership{Role: "read"}
		}
	}
	if r.IntN(5) == 0 {
		f.Now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) // the token's end
	}
	if r.yes() {
		f.Token = &authz.Token{ID: r.text("01a20daf-8d3a-7c75-94a4-111111111111"), DisplayName: r.text("ci"), Last4: "wxyz", Kind: "read", ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
		if r.yes() {
			f.Token.Owner = &authz.Owner{ID: "u", Name: r.text("bob"), Type: "user"}
		}
	}
	if r.yes() {
		f.Authorization = &authz.Authorization{State: "approved", Comment: r.text(""), ChangedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	return f
}

// sent is what respond gives once it is sent, where it can be.
func sent(o *authz.Outcome, opts answer.Options) (*authv3.CheckResponse, bool) {
	r := respond(answer.Render(o, opts))
	_, err := proto.Marshal(r)
	return r, err == nil
}

// TestPrebuiltAnswersAreThoseOfTheMeaning: all reasons in all forms.
func TestPrebuiltAnswersAreThoseOfTheMeaning(t *testing.T) {
	for name, opts := range map[string]answer.Options{
		"plain": {}, "with a public URL": {PublicURL: "https://patrol.example/", Realm: "hub", CredentialHeaders: []string{"x-api-key"}, HubWarnings: true},
	} {
		for _, odd := range []int{0, 12} {
			p := newPrebuilt(opts)
			r := outcomes{rand.New(rand.NewPCG(1, uint64(odd))), odd}
			compared, byTemplate := 0, 0
			for _, reason := range catalogue(t) {
				for _, client := range clients {
					for _, method := range []string{"GET", "HEAD"} {
						request := clientRequest(t, client, method)
						for range 6 {
							o := r.make(reason, request)
							want, can := sent(o, opts)
							if !can {
								continue // not UTF-8, which the generated code does not send
							}
							compared++
							for range 2 { // learning, and learnt
								if got := decode(t, p.answer(o, nil)); !proto.Equal(got, want) {
									t.Fatalf("%s, %s, %v:\ngot  %v\nwant %v", name, reason.Code, client, got, want)
								}
							}
							var v values
							if s, ok := p.look(o, &v); ok && (*p.templates.Load())[s] != nil {
								byTemplate++
							}
						}
					}
				}
			}
			t.Logf("%s, odd %d: %d of %d came from templates", name, odd, byTemplate, compared)
			if odd == 0 && byTemplate < compared*4/5 {
				t.Errorf("%s: only %d of %d came from templates", name, byTemplate, compared)
			}
		}
	}
}

// TestATemplateIsComparedBeforeItServes: marks that a rendering would change
// leave no template behind.
func TestATemplateIsComparedBeforeItServes(t *testing.T) {
	p := newPrebuilt(answer.Options{})
	o := outcomes{rand.New(rand.NewPCG(1, 1)), 0}.make(authz.BuiltinReasons[authz.ReasonOverloaded], nil)
	var v values
	s, ok := p.look(o, &v)
	if !ok || p.learn(o, s, &v) == nil {
		t.Fatal("no template for a plain refusal")
	}
	v[requestID] = "another"
	if p.learn(o, s, &v) != nil {
		t.Error("a template that gives another answer serves")
	}
}

// TestAValueThatNeedsCareIsNotPutInAGap: a template that was made of plain
// values is not filled with others.
func TestAValueThatNeedsCareIsNotPutInAGap(t *testing.T) {
	opts := answer.Options{PublicURL: "https://patrol.example"}
	for _, reason := range catalogue(t) {
		for _, client := range clients {
			p := newPrebuilt(opts)
			full := func() *authz.Outcome {
				o := outcomes{rand.New(rand.NewPCG(1, 1)), 0}.make(reason, clientRequest(t, client, "GET"))
				o.Policy, o.Facts = "p", &authz.Facts{
					Route: &authz.Route{Permission: "repo.write", Organizations: []string{"acme"}}, Organization: &authz.Organization{Name: "acme"},
					Token: &authz.Token{ID: "t", DisplayName: "ci", Owner: &authz.Owner{Name: "bob"}}, Authorization: &authz.Authorization{},
				}
				o.Approval = &authz.ApprovalRequest{ID: "a", State: "open"}
				o.Decision.Anonymous, o.Decision.Params["detail"] = false, "https://x.example/why"
				if reason.Allow {
					o.Shown = []string{"acme"}
				}
				return o
			}
			p.answer(full(), nil)
			for _, text := range oddTexts {
				for _, set := range []func(*authz.Outcome, string){
					func(o *authz.Outcome, text string) { o.DecisionID = text }, func(o *authz.Outcome, text string) { o.RequestID = text },
					func(o *authz.Outcome, text string) { o.Policy = text }, func(o *authz.Outcome, text string) { o.Revision = text },
					func(o *authz.Outcome, text string) { o.Facts.Route.Permission = text }, func(o *authz.Outcome, text string) { o.Facts.Organization.Name = text },
					func(o *authz.Outcome, text string) { o.Facts.Token.ID = text }, func(o *authz.Outcome, text string) { o.Facts.Token.DisplayName = text },
					func(o *authz.Outcome, text string) { o.Facts.Token.Owner.Name = text }, func(o *authz.Outcome, text string) { o.Approval.ID = text },
					func(o *authz.Outcome, text string) { o.Approval.State = text }, func(o *authz.Outcome, text string) { o.Facts.Authorization.Comment = text },
					func(o *authz.Outcome, text string) { o.Decision.Params["detail"] = text },
				} {
					o := full()
					set(o, text)
					want, can := sent(o, opts)
					if got := decode(t, p.answer(o, nil)); can && !proto.Equal(got, want) {
						t.Fatalf("%s, %v, %q:\ngot  %v\nwant %v", reason.Code, client, text, got, want)
					}
				}
			}
		}
	}
}

func TestTheTemplatesAreBounded(t *testing.T) {
	p := newPrebuilt(answer.Options{})
	r := outcomes{rand.New(rand.NewPCG(1, 1)), 0}
	full := map[shape]*template{}
	for range maxTemplates {
		full[shape{reason: &authz.Reason{}}] = nil
	}
	p.templates.Store(&full)
	for range 3 {
		p.answer(r.make(&authz.Reason{Code: "x", HTTPStatus: 403, Title: "x"}, nil), nil) // each bundle has its own
	}
	if n := len(*p.templates.Load()); n > maxTemplates {
		t.Errorf("%d templates", n)
	}
}

func BenchmarkAnswer(b *testing.B) {
	p := newPrebuilt(answer.Options{})
	r := outcomes{rand.New(rand.NewPCG(1, 1)), 0}
	byCode := map[string]*authz.Reason{}
	for _, reason := range catalogue(b) {
		byCode[reason.Code] = reason
	}
	for _, code := range []string{"allowed", "approval_pending"} {
		o := r.make(byCode[code], clientRequest(b, map[string]string{"user-agent": "huggingface_hub/2.4.0", "accept": "*/*"}, "GET"))
		b.Run(code+"/prebuilt", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.answer(o, nil)
			}
		})
		b.Run(code+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.plain(o)
			}
		})
		b.Run(code+"/protobuf", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = proto.Marshal(respond(answer.Render(o, answer.Options{})))
			}
		})
	}
}
