package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
)

// world is the inventory, and the requests that are made with its tokens.
type world struct {
	tokens, organizations int
	// headers of a message; default 22.
	headers int
}

func secret(i int) string { return fmt.Sprintf("bench-%032d", i) }

// path is where a token's own organization is asked for.
func (w world) path(token, i int) string {
	return fmt.Sprintf("/api/models/org-%d/model-%d", token%w.organizations, i%50)
}

// populate makes organizations under all policies, and imports tokens: a fifth
// of them unscoped, so that about half of all requests are allowed.
func (w world) populate(socket string) error {
	ctx := context.Background()
	c, err := client.New("unix:" + socket)
	if err != nil {
		return err
	}
	policies := []string{"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}
	for i := range w.organizations {
		name := fmt.Sprintf("org-%d", i)
		if err := c.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: name, TokenPolicy: policies[i%4]}, nil); err != nil {
			return err
		}
		if err := c.Do(ctx, "PUT", "/api/organizations/"+name+"/members/bob", admin.NewMember{Role: "write"}, nil); err != nil {
			return err
		}
	}
	for at := 0; at < w.tokens; at += 10_000 {
		var list []admin.ImportedToken
		for i := at; i < min(at+10_000, w.tokens); i++ {
			sum := sha256.Sum256([]byte(secret(i)))
			t := admin.ImportedToken{SHA256: hex.EncodeToString(sum[:]), Owner: "bob", DisplayName: "token " + strconv.Itoa(i), Kind: "fine-grained", Grants: []authz.Grant{
				{Entity: authz.Entity{Type: "organization", Name: fmt.Sprintf("org-%d", i%w.organizations)}, Permissions: []string{"repo.content.read", "repo.write"}},
			}}
			if i%5 == 0 {
				t.Kind, t.Grants = "write", nil
			}
			list = append(list, t)
		}
		if err := c.Do(ctx, "POST", "/api/tokens/import", map[string]any{"tokens": list}, nil); err != nil {
			return err
		}
	}
	return nil
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
