package answer_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
	"github.com/patrol-authz/patrol/rego"
)

// clients are what each form's client sends.
var clients = map[string]struct {
	path    string
	headers map[string]string
}{
	"json":     {"/api/models/acme/m", map[string]string{"user-agent": "hf_hub/2.4.0", "accept": "*/*"}},
	"git":      {"/acme/m/info/refs?service=git-upload-pack", map[string]string{"user-agent": "git/2.39.5"}},
	"lfs":      {"/acme/m.git/info/lfs/objects/batch", map[string]string{"user-agent": "git-lfs/3.3.0", "accept": "application/vnd.git-lfs+json"}},
	"grpc":     {"/hub.v1.Models/Get", map[string]string{"content-type": "application/grpc+proto"}},
	"registry": {"/v2/acme/m/manifests/latest", map[string]string{"user-agent": "crane"}},
	"browser":  {"/acme/m", map[string]string{"user-agent": "Mozilla/5.0 (X11)", "accept": "text/html,*/*"}},
}

func reasons(t testing.TB) []*authz.Reason {
	t.Helper()
	text, err := fs.ReadFile(rego.Base(), "patrol/catalogue/data.json")
	if err != nil {
		t.Fatal(err)
	}
	catalogue := authz.Catalogue{}
	if err := json.Unmarshal(text, &catalogue); err != nil {
		t.Fatal(err)
	}
	var list []*authz.Reason
	for code, r := range catalogue {
		r.Code = code
		if !r.Allow {
			list = append(list, r)
		}
	}
	for _, r := range authz.BuiltinReasons {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *authz.Reason) int { return strings.Compare(a.Code, b.Code) })
	return list
}

// refused is the outcome of a reason, with all facts that can be there.
func refused(form string, r *authz.Reason) *authz.Outcome {
	f := inputtest.Facts()
	check := proto.Clone(f.Request.(inputtest.Request).CheckRequest).(*authv3.CheckRequest)
	http := check.GetAttributes().GetRequest().GetHttp()
	http.Method, http.Path, http.Headers = "GET", clients[form].path, clients[form].headers
	f.Request = inputtest.Request{CheckRequest: check}
	f.Authorization = &authz.Authorization{State: authz.StateNone, ChangedAt: inputtest.Now.Add(-48 * time.Hour), Comment: "not this one"}
	o := &authz.Outcome{
		DecisionID: "d1", RequestID: "r1", Request: f.Request, Facts: f, Reason: r, Revision: "base-1", Policy: "require_administrator_approval",
		Decision: authz.Decision{Reason: r.Code, Reasons: []string{r.Code}, Params: map[string]any{"detail": "the path holds a dot segment"}},
		Approval: &authz.ApprovalRequest{ID: "a1", State: authz.RequestOpen, OpenedAt: inputtest.Now.Add(-24 * time.Hour)},
	}
	switch r.Code {
	case "credential_missing", "request_malformed", "credential_malformed":
		f.Credential, f.Token, f.Authorization = authz.CredentialFacts{State: authz.CredentialMissing}, nil, nil
	case "token_unknown":
		f.Token, f.Authorization = nil, nil
	case "route_unknown":
		f.Route, f.Organization = nil, nil
	case "organization_unknown":
		f.Organization = nil
	}
	return o
}

func show(a *answer.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d, gRPC %d\n", a.HTTPStatus, a.GRPCStatus)
	for _, h := range a.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	return b.String() + "\n" + a.Body + "\n"
}

// Each form of client × each reason is a golden file: what people and programs
// are told is changed on purpose, or not at all. UPDATE_GOLDEN=1 writes them.
func TestWhatEachClientIsTold(t *testing.T) {
	for form := range clients {
		t.Run(form, func(t *testing.T) {
			var got strings.Builder
			for _, r := range reasons(t) {
				a := answer.Render(refused(form, r), answer.Options{PublicURL: "https://patrol.example", HubWarnings: true})
				fmt.Fprintf(&got, "=== %s\n%s\n", r.Code, show(a))
				if name := answer.FormOf(refused(form, r).Request); a.Allowed || a.Body == "" || name == nil {
					t.Errorf("%s: no refusal, or nothing told", r.Code)
				}
			}
			path := filepath.Join("testdata", form+".golden")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil { //nolint:gosec // a file of the sources
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs (UPDATE_GOLDEN=1 writes it):\n%s", path, firstDifference(got.String(), string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: got  %s\n         want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// What must hold of every answer, whatever is in it.
func sound(t testing.TB, form string, o *authz.Outcome, a *answer.Answer) {
	t.Helper()
	for _, headers := range [][]authz.HeaderValue{a.Headers, a.Upstream, a.ResponseHeaders} {
		for _, h := range headers {
			if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") || h.Name == "" || strings.ContainsAny(h.Name, ": ") {
				t.Fatalf("%s: the header %q: %q", form, h.Name, h.Value)
			}
		}
	}
	if a.Allowed {
		return
	}
	if a.HTTPStatus < 400 || a.HTTPStatus > 599 || a.GRPCStatus < 1 || a.GRPCStatus > 16 {
		t.Fatalf("%s: HTTP %d, gRPC %d", form, a.HTTPStatus, a.GRPCStatus)
	}
	code := ""
	for _, h := range a.Headers {
		if h.Name == "x-error-code" {
			code = h.Value
		}
		if h.Name == "grpc-status" && h.Value == "0" {
			t.Fatalf("%s: a refusal with grpc-status 0", form)
		}
	}
	own := o.Decision.Envoy
	if own == nil && code != o.Reason.OutsideCode() {
		t.Fatalf("%s: x-error-code %q", form, code)
	}
	if answer.FormOf(o.Request).IsJSON() && (own == nil || !own.HasBody) && a.Body != "" {
		var document map[string]any
		if err := json.Unmarshal([]byte(a.Body), &document); err != nil || document["error"] == nil {
			t.Fatalf("%s: the body is no object with an error: %v\n%s", form, err, a.Body)
		}
	}
}

// FuzzRender puts any text wherever a text comes from outside: names, comments,
// details, the path, and what a rule sends.
func FuzzRender(f *testing.F) {
	f.Add("plain", "x-a", "v", uint8(0))
	f.Add("a\r\nx-inj: 1\x00é\xff", "x\r\nb", "v\r\nw", uint8(7))
	f.Add("<script>{token}\"", ":path", "/other", uint8(15))
	list := reasons(f)
	f.Fuzz(func(t *testing.T, text, name, value string, pick uint8) {
		for form := range clients {
			o := refused(form, list[int(pick)%len(list)])
			o.Decision.Params["detail"] = text
			http := o.Request.(inputtest.Request).GetAttributes().GetRequest().GetHttp()
			http.Path += text
			o.RequestID, o.Policy = text, text
			if o.Facts.Token != nil {
				o.Facts.Token.DisplayName, o.Facts.Token.Owner.Name, o.Facts.Token.Last4 = text, text, text
			}
			if o.Facts.Authorization != nil {
				o.Facts.Authorization.Comment = text
			}
			if o.Facts.Organization != nil {
				o.Facts.Organization.Name = text
			}
			if o.Facts.Route != nil {
				o.Facts.Route.Organizations, o.Facts.Route.Permission, o.Facts.Route.Resource.Name = []string{text}, text, text
			}
			if pick&1 == 1 {
				o.Decision.Envoy = &authz.EnvoyDecision{Headers: []authz.HeaderValue{{Name: name, Value: value}}, ResponseHeaders: []authz.HeaderValue{{Name: name, Value: value}}, HTTPStatus: int(pick) * 4}
			}
			opts := answer.Options{PublicURL: "https://patrol.example", HubWarnings: true}
			sound(t, form, o, answer.Render(o, opts))
			o.Decision.Allowed, o.Reason = true, &authz.Reason{Code: "allowed", Allow: true}
			o.Warnings, o.Shown = []authz.Warning{{Topic: text, Text: text}}, []string{text}
			sound(t, form, o, answer.Render(o, opts))
		}
	})
}
