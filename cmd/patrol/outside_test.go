package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestNobodyOutsideLearnsWhoThereIs: the answer about an organization or a user that
// there is, that is called otherwise now, and that nobody has, is the same but for the
// name as it was asked for; in each form, also from templates.
func TestNobodyOutsideLearnsWhoThereIs(t *testing.T) {
	w := startApp(t, func(c *Config) { c.Answer.PublicURL = "https://patrol.example" })
	w.populate(t, filepath.Join(casesDir, "world.json"))
	w.do(t, inventory.RenameOrganization{Organization: "quiet-corp", Name: "loud-corp"})
	end := w.Clock().Add(time.Hour)
	w.do(t, inventory.UpdateToken{Token: w.ids["bob_read"], ExpiresAt: &end})
	w.after(t, 2*time.Hour)
	client := authv3.NewAuthorizationClient(w.client(t))
	forms := map[string][][2]string{
		"JSON": {{"user-agent", "curl/8"}}, "page": {{"user-agent", "Mozilla/5.0"}, {"accept", "text/html"}}, "git": {{"user-agent", "git/2.47"}},
		"LFS": {{"user-agent", "git-lfs/3.4"}}, "gRPC": {{"content-type", "application/grpc"}},
	}
	for who, c := range map[string]struct{ authorization, code string }{
		"nobody":                      {"", "credential_missing"},
		"an unknown token":            {"Bearer ptl_unknownunknownunknownunknownunknown1", "token_unknown"},
		"a disabled token":            {"Bearer {bob_disabled}", "token_unknown"},
		"a member's token, expired":   {"Bearer {bob_read}", "token_expired"},
		"a token that is no member's": {"Bearer {mallory_read}", "organization_forbidden"},
	} {
		for form, headers := range forms {
			told := func(name string) string {
				t.Helper()
				q := &testCase{}
				q.Request.Method, q.Request.Path = "GET", "/api/models/"+name+"/model"
				q.Request.Headers = append([][2]string{{"x-request-id", "r-1"}}, headers...)
				if c.authorization != "" {
					q.Request.Headers = append(q.Request.Headers, [2]string{"authorization", c.authorization})
				}
				text := ""
				for range 2 { // the second from the template
					r, err := client.Check(context.Background(), q.checkRequest(w))
					if err != nil {
						t.Fatal(err)
					}
					text += shownDenied(t, r.GetDeniedResponse())
				}
				if !strings.Contains(text, "x-error-code: "+c.code) {
					t.Errorf("%s, %s, %s: %s", who, form, name, text)
				}
				return strings.ReplaceAll(text, "the organization "+name, "the organization NAME")
			}
			nowhere := told("nowhere")
			for _, name := range []string{"acme", "quiet-corp", "loud-corp", "alice", "bob"} {
				if got := told(name); got != nowhere {
					t.Errorf("%s, %s: who asks for %s is told that it exists:\n%s\nand of one that does not:\n%s", who, form, name, got, nowhere)
				}
			}
		}
	}
}

// shownDenied shows all that a refused client is sent.
func shownDenied(t *testing.T, r *authv3.DeniedHttpResponse) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, r.GetStatus().GetCode())
	for _, h := range r.GetHeaders() {
		value := h.GetHeader().GetValue()
		if h.GetHeader().GetKey() == answer.DetailsHeader {
			raw, err := base64.RawStdEncoding.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			var s status.Status
			var info errdetails.ErrorInfo
			if err := proto.Unmarshal(raw, &s); err != nil || len(s.GetDetails()) != 1 || s.GetDetails()[0].UnmarshalTo(&info) != nil {
				t.Fatalf("no details: %v %v", err, &s)
			}
			value = fmt.Sprint(s.GetCode(), s.GetMessage(), info.GetReason(), info.GetMetadata())
		}
		fmt.Fprintf(&b, "%s: %s\n", h.GetHeader().GetKey(), value)
	}
	return b.String() + r.GetBody() + "\n"
}
