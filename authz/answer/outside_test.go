package answer_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/input/inputtest"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// everyPlaceholder is a sentence as an overlay may write it.
const everyPlaceholder = "{organization} {asked_organization} {resource} {permission} {token} {kind} {expires_at} {since} {comment} {asked} {path} {method} {detail}"

// TestNobodyOutsideIsToldWhetherAnOrganizationExists, nor what it is called now: who
// has not shown to belong to it is answered as if there were none, whatever the
// reason and its sentence, in each form.
func TestNobodyOutsideIsToldWhetherAnOrganizationExists(t *testing.T) {
	member := &authz.Membership{Role: "write"}
	askers := map[string]func(f *authz.Facts){
		"nobody": func(f *authz.Facts) {
			f.Credential, f.Token = authz.CredentialFacts{State: authz.CredentialMissing}, nil
		},
		"an unknown token": func(f *authz.Facts) { f.Token = nil },
		"another's token":  func(*authz.Facts) {},
		"a member's that has ended": func(f *authz.Facts) {
			f.Token.ExpiresAt = f.Now
			if f.Organization != nil {
				f.Membership = member
			}
		},
	}
	unauthorized := map[string]func(f *authz.Facts){"a member of whom the reason does not say so": func(f *authz.Facts) {
		if f.Organization != nil {
			f.Membership = member
		}
	}}
	list := reasons(t)
	for _, status := range []int{401, 403} {
		list = append(list, &authz.Reason{Code: "own", HTTPStatus: status, GRPCStatus: 7, Title: "Own", Sentence: everyPlaceholder, Link: "https://x.example/?a={organization}&r={resource}"})
	}
	for form := range clients {
		for _, r := range list {
			all := []map[string]func(*authz.Facts){askers}
			if r.HTTPStatus == 401 || r.Outside != "" {
				all = append(all, unauthorized)
			}
			for _, group := range all {
				for who, asks := range group {
					told := func(present string) string {
						o := asked(form, r, present)
						asks(o.Facts)
						return show(answer.Render(o, answer.Options{PublicURL: "https://patrol.example"}))
					}
					missing := told("")
					for what, present := range map[string]string{"exists": "old", "was renamed": "new"} {
						if got := told(present); got != missing {
							t.Errorf("%s, %s, %s: that the organization %s is told: %s", form, r.Code, who, what, firstDifference(got, missing))
						}
					}
				}
			}
		}
	}
}

// TestAMemberIsToldTheOrganizationsPresentName.
func TestAMemberIsToldTheOrganizationsPresentName(t *testing.T) {
	for form := range clients {
		for _, r := range reasons(t) {
			o := asked(form, r, "new")
			o.Facts.Membership = &authz.Membership{Role: "write"}
			known := r.HTTPStatus != 401 && r.Outside == ""
			if got := answer.Inside(o.Facts, r); got != known {
				t.Errorf("%s, %s: inside is %t", form, r.Code, got)
			}
			_, link := answer.Told(o, answer.Options{PublicURL: "https://patrol.example"})
			switch want := "https://patrol.example/tokens/t1"; {
			case known && link != want+"?organization=new", r.HTTPStatus == 401 && link != want, r.Outside != "" && link != "":
				t.Errorf("%s, %s: the link is %q", form, r.Code, link)
			}
		}
	}
}

// asked is the outcome of a request about an organization called old, as the
// pipeline makes it: present is its name now, or "" where there is none.
func asked(form string, r *authz.Reason, present string) *authz.Outcome {
	f := inputtest.Facts()
	check := proto.Clone(f.Request.(inputtest.Request).CheckRequest).(*authv3.CheckRequest)
	http := check.GetAttributes().GetRequest().GetHttp()
	http.Method, http.Path, http.Headers = "GET", clients[form].path, clients[form].headers
	f.Request = inputtest.Request{CheckRequest: check}
	f.Route.Organizations, f.Route.Resource = []string{"old"}, &authz.Resource{Type: "model", Name: "old/m"}
	f.Organization, f.Membership, f.Authorization, f.Current, f.Effective = nil, nil, nil, nil, nil
	o := &authz.Outcome{DecisionID: "d1", RequestID: "r1", Request: f.Request, Facts: f, Reason: r, Decision: authz.Decision{Reason: r.Code}}
	if present != "" {
		f.Organization, f.Route.Resource.Name = &authz.Organization{ID: "o1", Name: present}, present+"/m"
		f.Authorization = &authz.Authorization{State: authz.StateRevoked, ChangedAt: f.Now, Comment: "not any more"}
		o.Approval = &authz.ApprovalRequest{ID: "a1", State: authz.RequestOpen, OpenedAt: f.Now}
	}
	return o
}
