package inputtest

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz"
)

// Now is the time of the sample facts.
var Now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Secret is the credential that the sample request carries.
const Secret = "ptl_0123456789abcdefghijklmnopqrstuvwxyzABCDEF"

// Check returns a sample request as Envoy sends it.
func Check() *authv3.CheckRequest {
	address := func(ip string, port uint32) *corev3.Address {
		return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: address("192.0.2.7", 41000), Principal: "spiffe://acme/ci"},
		Destination: &authv3.AttributeContext_Peer{Address: address("192.0.2.1", 443)},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "17", Method: "POST", Path: "/api/models/acme/m?full=1&full=2", Host: "hub.example", Scheme: "https",
			Protocol: "HTTP/2", Size: 13, Body: `{"type":"m"}`,
			Headers: map[string]string{
				":authority": "hub.example", "authorization": "Bearer " + Secret, "x-api-key": Secret,
				"content-type": "application/json", "user-agent": "curl/8", "x-request-id": "r-1",
			},
		}},
		ContextExtensions: map[string]string{"team": "blue"},
	}}
}

// Facts returns sample facts with everything there, of a fine-grained token
// that its organization approved.
func Facts() *authz.Facts {
	grants := []authz.Grant{{
		Entity:      authz.Entity{Type: "organization", ID: "o1", Name: "acme", Namespace: "o1"},
		Permissions: []string{"repo.content.read", "repo.write"},
	}}
	set := &authz.GrantSet{Grants: grants}
	return &authz.Facts{
		Request:    Request{Check()},
		Now:        Now,
		Client:     authz.Client{Address: "192.0.2.7", Network: "192.0.2.0/24"},
		Credential: authz.CredentialFacts{State: authz.CredentialPresent, Scheme: authz.SchemeBearer},
		Route: &authz.Route{
			Pattern: "/api/models/{organization}/{name}", Access: authz.AccessOrganization,
			Permission: "repo.content.read", Organizations: []string{"acme"},
			Resource: &authz.Resource{Type: "model", Name: "acme/m", Visibility: "private"},
		},
		Token: &authz.Token{
			ID: "t1", DisplayName: "ci", Last4: "CDEF", Kind: authz.KindFineGrained, Source: "issued",
			Owner:     &authz.Owner{ID: "u1", Name: "bob", Type: "user"},
			CreatedAt: Now.Add(-240 * time.Hour), ExpiresAt: Now.Add(240 * time.Hour),
			Grants: set, Global: []string{"discussion.write"},
		},
		Organization: &authz.Organization{
			ID: "o1", Name: "acme", Type: authz.TypeOrganization, TokenPolicy: "require_administrator_approval",
			Enforcement: authz.Enforce, ManagedBy: "api",
		},
		Membership: &authz.Membership{Role: "write", Since: Now.Add(-1000 * time.Hour)},
		Authorization: &authz.Authorization{
			State: authz.StateApproved, Grants: set, ExpiresAt: Now.Add(24 * time.Hour),
			Request: &authz.ApprovalRequest{ID: "a1", State: authz.RequestDecided, OpenedAt: Now.Add(-time.Hour)},
		},
		Current:   set,
		Effective: set,
	}
}
