package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// world is the inventory, and the requests that are made with its tokens.
type world struct {
	tokens, organizations int
	// headers of a message; default 22.
	headers int
}

func secret(i int) string { return fmt.Sprintf("bench-%032d", i) }

// owner is the member of an organization. Each has one of its own: an unscoped
// token reaches all organizations of its owner, and nobody is in thousands.
func owner(organization int) string { return fmt.Sprintf("owner-%d", organization) }

// path is where a token's own organization is asked for: each request for a
// resource of its own, so that as many kinds of requests are counted with few
// tokens as with many.
func (w world) path(token, i int) string {
	return fmt.Sprintf("/api/models/org-%d/model-%d", token%w.organizations, i)
}

// tokenPolicies are those of the base bundle. None is said to ask for approval:
// requests are opened at a token's first hit, and not all at once, which would
// make an event of each.
type tokenPolicies []string

var policies = tokenPolicies{"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}

func (p tokenPolicies) HasPolicy(string) bool        { return true }
func (p tokenPolicies) RequiresApproval(string) bool { return false }
func (p tokenPolicies) PolicyNames() []string        { return p }

// fill makes organizations under all policies, and imports tokens: a fifth of
// them unscoped, so that about two thirds of all requests are allowed. The round
// of the hygiene rules over all tokens is somebody else's for a day: what goes on
// in the background is no part of what an answer costs.
func (w world) fill(ctx context.Context, data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	key, err := credential.LoadOrCreateKey(filepath.Join(data, "digest.key"))
	if err != nil {
		return err
	}
	digester, err := credential.NewDigester(key)
	if err != nil {
		return err
	}
	s, err := sqlstore.Open(ctx, sqlstore.Options{Path: filepath.Join(data, "patrol.db"), KeyCheck: digester.Check(), Policies: policies})
	if err != nil {
		return err
	}
	defer s.Close()
	do := func(c inventory.Command) error {
		_, err := s.Do(ctx, inventory.Actor{Kind: "system", Name: "bench"}, c)
		return err
	}
	for i := range w.organizations {
		name := fmt.Sprintf("org-%d", i)
		if err := errors.Join(do(inventory.CreateOrganization{Name: name, TokenPolicy: policies[i%4]}), do(inventory.AddMember{Organization: name, User: owner(i), Role: "write"})); err != nil {
			return err
		}
	}
	for at := 0; at < w.tokens; at += 10_000 {
		list := make([]inventory.ImportToken, 0, 10_000)
		for i := at; i < min(at+10_000, w.tokens); i++ {
			list = append(list, w.token(i, digester))
		}
		if err := do(inventory.ImportTokens{Tokens: list}); err != nil {
			return err
		}
	}
	_, err = s.Lease(ctx, "hygiene", "bench", time.Now().Add(24*time.Hour))
	return err
}

func (w world) token(i int, d *credential.Digester) inventory.ImportToken {
	t := inventory.ImportToken{
		Digest: d.Secret(credential.NewSecret(secret(i))), Owner: owner(i % w.organizations), DisplayName: "token " + strconv.Itoa(i), Kind: authz.KindFineGrained,
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: fmt.Sprintf("org-%d", i%w.organizations)}, Permissions: []string{"repo.content.read", "repo.write"}}},
	}
	if i%5 == 0 {
		t.Kind, t.Grants = authz.KindWrite, nil
	}
	return t
}

// messages are as Envoy sends them: about 1.4 KB, 22 headers, tokens in no
// order.
func (w world) messages(n int) [][]byte {
	if w.headers == 0 {
		w.headers = 22
	}
	out := make([][]byte, n)
	for i := range out {
		token := i * 7919 % w.tokens
		path := w.path(token, i)
		h := map[string]string{
			":authority": "hub.example", ":method": "GET", ":scheme": "https", ":path": path, "authorization": "Bearer " + secret(token),
			"user-agent": "huggingface_hub/2.4.0; python/3.12.3; torch/2.5.1", "accept": "*/*", "accept-encoding": "gzip, deflate, br",
			"x-request-id": fmt.Sprintf("8c2a7c1e-0000-4000-8000-%012d", i), "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https",
			"x-envoy-external-address": "192.0.2.7", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		}
		for k := len(h); k < w.headers; k++ {
			h[fmt.Sprintf("x-header-%d", k)] = "a value as long as those of cookies and traces often are, here for the header " + strconv.Itoa(k)
		}
		out[i], _ = proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
			Http: &authv3.AttributeContext_HttpRequest{Id: strconv.Itoa(i), Method: "GET", Path: path, Host: "hub.example", Scheme: "https", Protocol: "HTTP/1.1", Headers: h},
		}}})
	}
	return out
}

// httpRequests are the same on their way to Envoy.
func (w world) httpRequests(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		token := i * 7919 % w.tokens
		out[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nhost: hub.example\r\nauthorization: Bearer %s\r\nuser-agent: huggingface_hub/2.4.0; python/3.12.3; torch/2.5.1\r\n"+
			"accept: */*\r\naccept-encoding: gzip, deflate, br\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n", w.path(token, i), secret(token))
	}
	return out
}
