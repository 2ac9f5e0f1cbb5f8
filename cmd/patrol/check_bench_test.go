package main

import (
	"context"
	"strconv"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// instead of the policy, in BenchmarkCheck: only what is around it is measured.
type instead struct{}

func (instead) Name() string { return "none" }

func (instead) Evaluate(_ context.Context, f *authz.Facts) (authz.Decision, error) {
	if f.Token == nil || f.Organization == nil || f.Token.Kind != authz.KindFineGrained {
		return authz.Decision{Reason: "token_type_not_allowed", Reasons: []string{"token_type_not_allowed"}}, nil
	}
	return authz.Decision{Allowed: true, Reason: "allowed"}, nil
}

// BenchmarkCheck answers messages from their bytes to the answer's, without the
// network: with the policy, and without.
func BenchmarkCheck(b *testing.B) {
	w := startApp(b, nil)
	w.do(b, inventory.CreateOrganization{Name: "acme", TokenPolicy: "only_fine_grained_tokens"})
	w.do(b, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	secrets := map[string]string{"allowed": "bench-0123456789abcdef0123456789abcdef", "refused": "bench-fedcba9876543210fedcba9876543210"}
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}}
	digest := func(name string) authz.Digest { return w.digester.Secret(credential.NewSecret(secrets[name])) }
	w.do(b, inventory.ImportTokens{Tokens: []inventory.ImportToken{
		{Digest: digest("allowed"), Owner: "bob", DisplayName: "fine", Kind: authz.KindFineGrained, Grants: grants},
		{Digest: digest("refused"), Owner: "bob", DisplayName: "coarse", Kind: authz.KindWrite},
	}})
	rules := *w.Bundles.Ruleset()
	without := rules
	without.Evaluator = instead{}
	for _, c := range []struct {
		name  string
		rules *authz.Ruleset
	}{{"policy", &rules}, {"around", &without}} {
		w.Pipeline.Policy = fixedRules{c.rules}
		for _, name := range []string{"allowed", "refused"} {
			h := map[string]string{
				":authority": "hub.example", ":method": "GET", ":scheme": "https", ":path": "/api/models/acme/model", "authorization": "Bearer " + secrets[name],
				"user-agent": "huggingface_hub/2.4.0; python/3.12.3; torch/2.5.1", "accept": "*/*", "x-request-id": "8c2a7c1e-0000-4000-8000-000000000001",
			}
			for k := len(h); k < 22; k++ {
				h["x-header-"+strconv.Itoa(k)] = "a value of some length " + strconv.Itoa(k)
			}
			message, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
				Http: &authv3.AttributeContext_HttpRequest{Id: "1", Method: "GET", Path: "/api/models/acme/model", Host: "hub.example", Scheme: "https", Protocol: "HTTP/1.1", Headers: h},
			}}})
			if err != nil {
				b.Fatal(err)
			}
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Server.Check(context.Background(), string(message), nil)
				}
			})
		}
	}
}

type fixedRules struct{ rules *authz.Ruleset }

func (f fixedRules) Ruleset() *authz.Ruleset { return f.rules }
