package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/rego"
)

// refusalsWorld is a world in which dora's token, which reaches acme (where it waits
// for an approval) and globex, was refused, and one of deployer, a service account
// of acme for which bob answers.
func refusalsWorld(t *testing.T) (w *world, nightly, account string) {
	t.Helper()
	w = startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		someProvider(c)
	})
	w.do(t, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	w.do(t, inventory.CreateOrganization{Name: "globex", TokenPolicy: "require_administrator_approval"})
	w.do(t, inventory.CreateOrganization{Name: "hidden"})
	for _, m := range []inventory.AddMember{
		{Organization: "acme", User: "alice", Role: "admin"},
		{Organization: "globex", User: "gail", Role: "admin"},
		{Organization: "acme", User: "dora", Role: "write"},
		{Organization: "globex", User: "dora", Role: "write"},
		{Organization: "acme", User: "bob", Role: "write"},
		{Organization: "acme", User: "deployer", Type: "service_account", Role: "write", Responsible: &[]string{"bob"}},
	} {
		w.do(t, m)
	}
	issue := func(owner, name string, organizations ...string) string {
		w.secrets[name] = credential.Generate()
		return w.do(t, inventory.IssueToken{
			Owner: owner, DisplayName: name, Kind: authz.KindFineGrained, Digest: w.digester.Secret(w.secrets[name]), Last4: w.secrets[name].Last4(),
			Grants: grantsOn([]string{"repo.write"}, organizations...),
		}).Token.ID
	}
	nightly, account = issue("dora", "nightly", "acme", "globex"), issue("deployer", "deploy", "acme")
	for _, q := range []struct{ token, path, id, reason string }{
		{"nightly", "/api/models/acme/model?revision=a-value", "q-acme-1", "approval_pending"},
		{"nightly", "/api/models/acme/model?revision=a-value", "q-acme-2", "approval_pending"},
		{"nightly", "/api/models/globex/model", "q-globex", "approval_pending"},
		{"nightly", "/no/such/" + w.secrets["nightly"].Reveal() + "/route", "q-none", "route_unknown"},
		{"nightly", "/api/models/hidden/model", "q-hidden", "owner_not_member"},
		{"nightly", "/api/models/nowhere/model", "q-nowhere", "organization_unknown"},
		{"deploy", "/api/models/acme/site", "q-deploy", "approval_pending"},
		{"deploy", "/no/such/route", "q-deploy-none", "route_unknown"},
	} {
		if reason := w.ask(t, "GET", q.path, w.secrets[q.token].Reveal(), q.id); reason != q.reason {
			t.Fatalf("%s: answered %s, want %s", q.id, reason, q.reason)
		}
	}
	w.written(t)
	return w, nightly, account
}

// allRefused are the ids of the requests that were refused.
var allRefused = []string{"q-acme-1", "q-acme-2", "q-globex", "q-none", "q-hidden", "q-nowhere", "q-deploy", "q-deploy-none"}

// shownIn are those of them that a text has.
func shownIn(body string) string {
	var ids []string
	for _, id := range allRefused {
		if strings.Contains(body, id+"<") || strings.Contains(body, id+`"`) {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " ")
}

// TestAnOwnerSeesTheLastRefusals of the token, in the organization of the page where
// they are a member, and those of no organization; that there is another is not told.
func TestAnOwnerSeesTheLastRefusals(t *testing.T) {
	w, nightly, account := refusalsWorld(t)
	base := "http://" + w.Config.Admin.Listen
	page := func(id, organization, user string) string {
		t.Helper()
		path := "/tokens/" + id
		if organization != "" {
			path += "?organization=" + organization
		}
		_, _, body := ask(t, "GET", base+path, nil, w.sessionOf(t, user))
		return body
	}
	for _, c := range []struct{ what, id, organization, user, want string }{
		{"the owner, in acme", nightly, "acme", "dora", "q-acme-2 q-none"}, // two alike are told together
		{"in globex", nightly, "globex", "dora", "q-globex q-none"},
		{"as a whole", nightly, "", "dora", "q-none"},
		{"who answers for an account", account, "acme", "bob", "q-deploy"},
		{"another", nightly, "acme", "bob", ""},
		{"an administrator, who has a page of their own", nightly, "acme", "alice", ""},
	} {
		if got := shownIn(page(c.id, c.organization, c.user)); got != c.want {
			t.Errorf("%s sees %q, want %q", c.what, got, c.want)
		}
	}
	body := page(nightly, "acme", "dora")
	for _, want := range []string{
		"2 times alike", "GET /api/models/acme/model?revision<", "Approval pending", "waits for an approval by an administrator of the organization acme, asked for on", ".</p>",
		"To read content on model acme/model. From 192.0.2.0/24 by git/2.47. Request <code>q-acme-2</code>", "GET /no/such/[redacted]/route<", "About no organization.",
		"patrol why ID", "Last refused",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q:\n%s", want, body)
		}
	}
	for _, secret := range []string{w.secrets["nightly"].Reveal(), "a-value", "127.0.0.1:9/tokens/" + nightly, "192.0.2.7"} {
		if strings.Contains(body, secret) {
			t.Errorf("the page shows %q:\n%s", secret, body)
		}
	}
	// Who has left an organization sees no more of it than that.
	w.do(t, inventory.RemoveMember{Organization: "globex", User: "dora"})
	if body = page(nightly, "globex", "dora"); shownIn(body) != "q-none" || strings.Contains(body, "gail") || !strings.Contains(body, "no member of globex") {
		t.Errorf("who has left sees\n%s", body)
	}
	operator := func(path string) string {
		_, _, body := ask(t, "GET", base+path, nil, map[string]string{"Cookie": w.session(t)})
		return body
	}
	if got := shownIn(operator("/tokens/" + nightly + "?organization=globex")); got != "q-globex q-none" {
		t.Errorf("an operator sees %q", got)
	}
}

// TestTheAPIListsTheLastRefusalsOfAToken to its owner, where they are a member, and
// to an operator.
func TestTheAPIListsTheLastRefusalsOfAToken(t *testing.T) {
	w, nightly, account := refusalsWorld(t)
	listed := func(path string, header map[string]string) (int, string, []record.Told) {
		t.Helper()
		status, _, body := ask(t, "GET", "http://"+w.Config.Admin.Listen+path, nil, header)
		var rows []record.Told
		if status == 200 {
			if err := json.Unmarshal([]byte(body), &rows); err != nil {
				t.Fatal(err)
			}
		}
		return status, body, rows
	}
	own := map[string]string{"Authorization": "Bearer " + w.secrets["nightly"].Reveal()}
	w.do(t, inventory.RemoveMember{Organization: "globex", User: "dora"})
	if status, body, rows := listed("/api/tokens/"+nightly+"/refusals", own); status != 200 || shownIn(body) != "q-acme-1 q-acme-2 q-none" || len(rows) != 3 ||
		rows[0].RequestID != "q-none" || rows[1].Code != "approval_pending" || rows[1].Resource != "model acme/model" || strings.Contains(body, "facts") || strings.Contains(body, "192.0.2.7") {
		t.Errorf("the owner is answered %d:\n%s", status, body)
	}
	if status, _, rows := listed("/api/tokens/"+nightly+"/refusals?limit=1", own); status != 200 || len(rows) != 1 {
		t.Errorf("one alone: %d %v", status, rows)
	}
	if status, body, _ := listed("/api/tokens/"+account+"/refusals", own); status != 403 {
		t.Errorf("another's token: %d\n%s", status, body)
	}
	rows, err := w.api(t).Refusals(t.Context(), nightly, 100)
	if err != nil || len(rows) != 6 {
		t.Errorf("an operator is told of %+v, %v", rows, err)
	}
}

// TestWhoIsToldNoNamesReadsNone, wherever the page has some: of who answers, helps,
// asked, decided and acted. The bundle lets somebody look who is no member.
func TestWhoIsToldNoNamesReadsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, rego.Base()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "patrol/console/console.rego")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "\nown contains \"see\" if input.caller.name == \"eve\"\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := startApp(t, func(c *Config) {
		c.Admin.Listen, c.Policy.Bundles = "127.0.0.1:0", []string{dir}
		someProvider(c)
	})
	w.people(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "ci", Type: "service_account", Role: "write", Responsible: &[]string{"bob"}})
	id := w.issueTo(t, "ci", "deploy")
	as := func(user string, c inventory.Command) {
		t.Helper()
		if _, err := (&commands{w.App}).Do(t.Context(), inventory.Actor{Kind: "console", Name: user, Role: "admin"}, c); err != nil {
			t.Fatal(err)
		}
	}
	as("alice", inventory.AskOwner{Organization: "acme", Token: id, Question: "What is it for?"})
	as("bob", inventory.CommentRequest{Organization: "acme", Token: id, Comment: "It deploys"})
	as("alice", inventory.AskOwner{Organization: "acme", Token: id, Question: "What, exactly?"})
	as("alice", inventory.SuspendToken{Organization: "acme", Token: id, Comment: "Until that is clear"})
	as("alice", inventory.ResumeToken{Organization: "acme", Token: id})
	w.do(t, inventory.DisableToken{Token: id, Comment: "of no organization"})
	for user, names := range map[string]bool{"bob": true, "eve": false} {
		status, _, body := ask(t, "GET", fmt.Sprintf("http://%s/tokens/%s?organization=acme", w.Config.Admin.Listen, id), nil, w.sessionOf(t, user))
		if status != 200 || !strings.Contains(body, "It deploys") || !strings.Contains(body, "a service account") || !strings.Contains(body, "Until that is clear") {
			t.Errorf("%s is answered %d:\n%s", user, status, body)
		}
		_, text, _ := strings.Cut(body, "<main")
		if told := strings.Contains(text, "alice"); told != names {
			t.Errorf("%s is told names: %t:\n%s", user, told, text)
		}
		if user == "bob" && (strings.Contains(text, "of no organization") || !strings.Contains(text, "disabled everywhere</strong> by an operator")) {
			t.Errorf("bob, who does not see the token as a whole, reads what was said on it:\n%s", text)
		}
		if user == "eve" && strings.Contains(text, "bob") {
			t.Errorf("eve reads who answers for it:\n%s", text)
		}
	}
}
