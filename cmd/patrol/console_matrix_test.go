package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin/console"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// visitors of the console's matrix. Who they are in the bureau:
var visitors = map[string]string{
	"nobody": "", "ended": "alice", "operator": "", "admin": "alice", "reviewer": "rita", "admin_elsewhere": "gail",
	"member": "zed", "owner": "bob", "stranger": "eve",
}

// Sorts of visitors, of each organization: those who see it, who decide, and who
// change it.
var (
	consoleSees    = map[string][]string{acme: {"operator", "admin", "reviewer"}, globex: {"operator", "admin_elsewhere"}}
	consoleDecides = consoleSees
	consoleChanges = map[string][]string{acme: {"operator", "admin"}, globex: {"operator", "admin_elsewhere"}}
	consoleOperate = both([]string{"operator"})
	loggedIn       = both([]string{"operator", "admin", "reviewer", "admin_elsewhere", "member", "owner", "stranger"})
)

// door is a row of the console's matrix: who is let through, and what they are
// answered; with a form that changes nothing.
type door struct {
	let    map[string][]string
	status int
	form   url.Values
	// other is what some who are let through are answered instead.
	other map[string]int
	// path is that of the route, where its pattern is none.
	path string
}

var consoleMatrix = map[string]door{
	// Nobody need be logged in, and whoever is gets the same.
	"GET /static/":        {status: 200, path: "/static/style.css"},
	"GET /login":          {status: 200},
	"GET /login/link":     {status: 410},
	"POST /login/link":    {status: 410},
	"GET /login/start":    {status: 502}, // the provider that is configured does not answer
	"GET /login/callback": {status: 400},
	"POST /logout":        {status: 303},
	"GET /confirm":        {status: 410},
	"POST /confirm":       {status: 410},

	"GET /{$}": {let: loggedIn, status: 303, path: "/", other: map[string]int{"operator": 200}},
	"GET /me":  {let: loggedIn, status: 200},
	// None of them has an address to confirm; who is no member has nowhere to ask.
	"POST /me/address":                                       {let: loggedIn, status: 422, other: map[string]int{"operator": 404, "stranger": 404}},
	"GET /bundles":                                           {let: consoleOperate, status: 200},
	"GET /tokens/{id}":                                       {let: both([]string{"operator", "owner"}), status: 200},
	"POST /tokens/{id}/ask":                                  {let: both([]string{"owner"}), status: 422},
	"POST /tokens/{id}/answer":                               {let: both([]string{"owner"}), status: 422},
	"POST /tokens/{id}/rotate":                               {let: both([]string{"owner"}), status: 422},
	"GET /accounts/{account_of}/{account}":                   {let: both([]string{"operator", "owner"}), status: 200, path: "/accounts/acme/robot"},
	"GET /organizations/{organization}":                      {let: consoleSees, status: 200},
	"GET /organizations/{organization}/tokens":               {let: consoleSees, status: 200},
	"GET /organizations/{organization}/tokens/{id}":          {let: consoleSees, status: 200},
	"POST /organizations/{organization}/tokens/confirm":      {let: consoleChanges, status: 422},
	"POST /organizations/{organization}/tokens/act":          {let: consoleChanges, status: 422},
	"GET /organizations/{organization}/review":               {let: consoleDecides, status: 200},
	"POST /organizations/{organization}/review/group":        {let: consoleDecides, status: 422},
	"POST /organizations/{organization}/review/group/decide": {let: consoleDecides, status: 422},
	"GET /organizations/{organization}/review/{id}":          {let: consoleDecides, status: 200},
	"POST /organizations/{organization}/review/{id}":         {let: consoleDecides, status: 422},
	"POST /organizations/{organization}/review/{id}/talk":    {let: consoleDecides, status: 422},
	"GET /organizations/{organization}/policy":               {let: consoleSees, status: 200},
	"POST /organizations/{organization}/policy":              {let: consoleChanges, status: 422},
	"GET /organizations/{organization}/settings":             {let: consoleSees, status: 200},
	"POST /organizations/{organization}/settings":            {let: consoleChanges, status: 422},
	"GET /organizations/{organization}/members":              {let: consoleSees, status: 200},
	"POST /organizations/{organization}/members/ask":         {let: consoleChanges, status: 422, form: url.Values{"user": {"bob"}}},
	"POST /organizations/{organization}/members/confirm":     {let: consoleOperate, status: 422, form: url.Values{"user": {"bob"}}},
	"GET /organizations/{organization}/audit":                {let: consoleSees, status: 200},
}

// consoleBureau is the bureau with those who visit its console, and a token of
// bob's that both organizations see.
func consoleBureau(t *testing.T) (b *bureau, target string) {
	t.Helper()
	b = startBureau(t, someProvider)
	for _, m := range []inventory.AddMember{
		{Organization: acme, User: "rita", Role: "reviewer"},
		{Organization: acme, User: "zed", Role: "write"},
		{Organization: acme, User: "robot", Type: "service_account", Role: "write", Responsible: &[]string{"bob"}},
	} {
		b.do(t, m)
	}
	return b, b.issueAs("target", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme, globex)})
}

// cookieOf logs a visitor in.
func (b *bureau) cookieOf(t *testing.T, visitor string) map[string]string {
	t.Helper()
	switch visitor {
	case "nobody":
		return nil
	case "operator":
		return map[string]string{"Cookie": b.session(t)}
	case "ended":
		then := b.Clock().Add(-2 * time.Hour)
		secret := fmt.Sprint("ended-in-a-test-at-", then.UnixNano())
		err := sessions{b.Store}.Put(t.Context(), console.Session{Hash: hashOfSession(secret), Caller: console.Caller{Name: "alice", Issuer: b.Config.Login.Issuer}, Created: then, Expires: then.Add(time.Hour)}, then)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{"Cookie": "patrol_session=" + secret}
	}
	return b.sessionOf(t, visitors[visitor])
}

// wanted is what a visitor is answered.
func (d door) wanted(r console.Route, visitor, organization string) int {
	method, path, _ := strings.Cut(r.Pattern, " ")
	switch {
	case r.Open:
		return d.status
	case visitor == "nobody" || visitor == "ended":
		if method == http.MethodGet {
			return http.StatusSeeOther
		}
		return http.StatusForbidden
	case slices.Contains(d.let[organization], visitor):
		if other := d.other[visitor]; other != 0 {
			return other
		}
		return d.status
	case strings.Contains(path, "{organization}") && slices.Contains(consoleSees[organization], visitor):
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

// TestEachVisitorMayWhatTheConsolesMatrixSays asks for every page and every action
// as every visitor, on two organizations. A new route needs a row.
func TestEachVisitorMayWhatTheConsolesMatrixSays(t *testing.T) {
	b, target := consoleBureau(t)
	pages, err := b.newConsole()
	if err != nil {
		t.Fatal(err)
	}
	routes := pages.Routes()
	for pattern := range consoleMatrix {
		if !slices.ContainsFunc(routes, func(r console.Route) bool { return r.Pattern == pattern }) {
			t.Errorf("the matrix has a row for %s, which the console does not serve", pattern)
		}
	}
	before, asked := b.lastChange(), map[int]int{}
	for _, r := range routes {
		d, ok := consoleMatrix[r.Pattern]
		if !ok {
			t.Errorf("%s has no row in the matrix: say who is let through", r.Pattern)
			continue
		}
		method, path, _ := strings.Cut(r.Pattern, " ")
		if d.path != "" {
			path = d.path
		}
		for _, organization := range []string{acme, globex} {
			where := "http://" + b.Config.Admin.Listen + strings.NewReplacer("{organization}", organization, "{id}", target).Replace(path)
			for visitor := range visitors {
				want := d.wanted(r, visitor, organization)
				form := d.form
				if method == http.MethodPost && form == nil {
					form = url.Values{}
				}
				status, header, body := ask(t, method, where, form, b.cookieOf(t, visitor))
				asked[status]++
				if status != want {
					t.Errorf("%s as %s in %s: answered %d, want %d:\n%s", r.Pattern, visitor, organization, status, want, body)
				}
				if login := strings.HasPrefix(header.Get("Location"), "/login"); !r.Open && login != (want == http.StatusSeeOther && (visitor == "nobody" || visitor == "ended")) {
					t.Errorf("%s as %s: it leads to %q", r.Pattern, visitor, header.Get("Location"))
				}
				if let := r.Open || slices.Contains(d.let[organization], visitor); !let && (strings.Contains(body, "target") || strings.Contains(body, "pending")) {
					t.Errorf("%s as %s: the refusal tells of tokens:\n%s", r.Pattern, visitor, body)
				}
				if last := b.lastChange(); last.Seq != before.Seq {
					t.Errorf("%s as %s in %s changed something: %+v", r.Pattern, visitor, organization, last)
					before = last
				}
			}
		}
	}
	t.Logf("asked of %d routes: %v", len(routes), asked)
}

// TestInTheConsoleAnotherOrganizationIsAsOneThatDoesNotExist.
func TestInTheConsoleAnotherOrganizationIsAsOneThatDoesNotExist(t *testing.T) {
	b, target := consoleBureau(t)
	pages, err := b.newConsole()
	if err != nil {
		t.Fatal(err)
	}
	for _, visitor := range []string{"admin_elsewhere", "member", "owner", "stranger"} {
		cookie := b.cookieOf(t, visitor)
		if status, _, body := ask(t, http.MethodGet, "http://"+b.Config.Admin.Listen+"/me", nil, cookie); status != http.StatusOK {
			t.Fatalf("%s is not logged in: %d\n%s", visitor, status, body)
		}
		for _, r := range pages.Routes() {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if !strings.Contains(path, "{organization}") {
				continue
			}
			var answers []string
			for _, name := range []string{acme, "nowhere"} {
				where := "http://" + b.Config.Admin.Listen + strings.NewReplacer("{organization}", name, "{id}", target).Replace(path)
				var form url.Values
				if method == http.MethodPost {
					form = url.Values{}
				}
				status, _, body := ask(t, method, where, form, cookie)
				answers = append(answers, strings.ReplaceAll(fmt.Sprint(status, body), name, "NAME"))
			}
			if answers[0] != answers[1] {
				t.Errorf("%s as %s: %s\nand of one that does not exist: %s", r.Pattern, visitor, answers[0], answers[1])
			}
		}
		// The organization of an account is in the address too.
		for _, account := range []string{"robot", visitors[visitor]} {
			var answers []string
			for _, name := range []string{acme, "nowhere"} {
				if visitor == "owner" && account == "robot" && name == acme {
					continue // theirs to see
				}
				status, _, body := ask(t, http.MethodGet, "http://"+b.Config.Admin.Listen+"/accounts/"+name+"/"+account, nil, cookie)
				answers = append(answers, strings.ReplaceAll(fmt.Sprint(status, body), name, "NAME"))
			}
			if len(slices.Compact(answers)) != 1 || !strings.HasPrefix(answers[0], "404") {
				t.Errorf("the account %s as %s: %s", account, visitor, answers)
			}
		}
	}
}
