package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

const scimToken = "a-token-of-the-directory-of-acme-0123456789"

// provisioned is an App whose organization acme has a directory.
func provisioned(t *testing.T) (w *world, base string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, scimToken+"\n")
	w = startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		c.SCIM.Organizations = []SCIMOrganizationConfig{{
			Organization: "acme", TokenFile: file, DefaultRole: "read",
			Groups: []SCIMGroupConfig{{Group: "Acme-Admins", Role: "admin"}, {Group: "acme-developers", Role: "write"}},
		}}
	})
	w.people(t)
	w.do(t, inventory.CreateOrganization{Name: "globex"})
	return w, "http://" + w.Config.Admin.Listen + "/scim/v2/acme"
}

// exchange is one request that a directory sends, and what it is answered.
type exchange struct {
	Title, Method, Path, Raw string
	Body, Want               any
	Status                   int
	Keep                     string            // the answer's id is kept under this name
	Absent                   []string          // members that the answer must not have
	Members, Emails          map[string]string // roles and addresses of acme's members afterwards; "": none
}

func exchanges(t *testing.T, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile("../../testdata/scim/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Steps []exchange }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Steps
}

// sendSCIM sends a request as a directory does.
func sendSCIM(t *testing.T, method, address, body string, header map[string]string) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body = nil
	}
	r.Header.Set("Authorization", "Bearer "+scimToken)
	r.Header.Set("Content-Type", "application/scim+json")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

// holds says whether all of want is in have: members of objects, elements of
// lists in their order and number.
func holds(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for k, v := range w {
			ok = ok && holds(v, h[k])
		}
		return ok
	case []any:
		h, ok := have.([]any)
		ok = ok && len(h) == len(w)
		for i := 0; ok && i < len(w); i++ {
			ok = holds(w[i], h[i])
		}
		return ok
	}
	return reflect.DeepEqual(want, have)
}

func (w *world) member(t *testing.T, user string) *inventory.MemberRow {
	t.Helper()
	rows, _, err := w.Store.Members(t.Context(), "acme", inventory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if rows[i].User == user {
			return &rows[i]
		}
	}
	return &inventory.MemberRow{}
}

func play(t *testing.T, w *world, base string, steps []exchange) {
	t.Helper()
	ids := []string{}
	for _, s := range steps {
		fill := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return strings.NewReplacer(ids...).Replace(string(b))
		}
		body := s.Raw
		if s.Body != nil {
			body = fill(s.Body)
		}
		status, header, text := sendSCIM(t, s.Method, base+strings.NewReplacer(ids...).Replace(s.Path), body, nil)
		var got map[string]any
		if len(text) > 0 {
			if err := json.Unmarshal(text, &got); err != nil && s.Want != nil {
				t.Fatalf("%s: %s: %v", s.Title, text, err)
			}
			if kind := header.Get("Content-Type"); kind != "application/scim+json" {
				t.Errorf("%s: it is of type %s", s.Title, kind)
			}
		}
		if status != s.Status {
			t.Errorf("%s: %d %s; want %d", s.Title, status, text, s.Status)
			continue
		}
		if s.Keep != "" {
			ids = append(ids, "{"+s.Keep+"}", fmt.Sprint(got["id"]))
		}
		if s.Want != nil {
			var want any
			if err := json.Unmarshal([]byte(fill(s.Want)), &want); err != nil {
				t.Fatal(err)
			}
			if !holds(want, got) {
				t.Errorf("%s: answered\n%s\nwant\n%v", s.Title, text, want)
			}
		}
		for _, name := range s.Absent {
			if _, there := got[name]; there {
				t.Errorf("%s: the answer has %s", s.Title, name)
			}
		}
		for user, role := range s.Members {
			if m := w.member(t, user); m.Role != role {
				t.Errorf("%s: %s has the role %q; want %q", s.Title, user, m.Role, role)
			}
		}
		for user, email := range s.Emails {
			if m := w.member(t, user); m.Email != email {
				t.Errorf("%s: %s has the address %q; want %q", s.Title, user, m.Email, email)
			}
		}
	}
}

func TestADirectoryKeepsTheMembers(t *testing.T) {
	for _, name := range []string{"okta", "entra"} {
		t.Run(name, func(t *testing.T) {
			w, base := provisioned(t)
			play(t, w, base, exchanges(t, name))
			if m := w.member(t, "alice"); m.Role != "admin" {
				t.Errorf("a member whom the directory does not know is %+v", m)
			}
		})
	}
}

// TestADirectoryIsNotMisread: attributes under the schema's own name count, a
// look-alike is nobody, and a password is kept nowhere.
func TestADirectoryIsNotMisread(t *testing.T) {
	w, base := provisioned(t)
	play(t, w, base, exchanges(t, "hostile"))
	for _, name := range []string{databaseFile, databaseFile + "-wal"} {
		b, err := os.ReadFile(filepath.Join(w.Config.DataDir, name))
		if err == nil && strings.Contains(string(b), "planted-in-scim") {
			t.Errorf("a password is in %s", name)
		}
	}
}

func TestWhatADirectorySendsWrongChangesNothing(t *testing.T) {
	w, base := provisioned(t)
	before, _, err := w.Store.Audit(t.Context(), "", inventory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	play(t, w, base, exchanges(t, "bad"))
	status, _, text := sendSCIM(t, "POST", base+"/Users", `{"userName":"`+strings.Repeat("x", 2<<20)+`"}`, nil)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d %s", status, text)
	}
	after, _, err := w.Store.Audit(t.Context(), "", inventory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range after[:len(after)-len(before)] {
		t.Errorf("it changed something: %+v", a)
	}
}

// TestWhomADirectoryDeactivatesIsRefusedAtTheNextRequest, and comes back without
// what was approved.
func TestWhomADirectoryDeactivatesIsRefusedAtTheNextRequest(t *testing.T) {
	w, base := provisioned(t)
	status, _, text := sendSCIM(t, "POST", base+"/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob@example.com"}`, nil)
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, text)
	}
	if m := w.member(t, "bob"); m.Role != "read" || m.Email != "bob@example.com" {
		t.Errorf("a member that was there before is %+v", m)
	}
	id, secret := w.fineToken(t, authz.KindFineGrained, 0)
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: 1})
	conn := w.overSocket(t)
	code := func() string {
		t.Helper()
		return headerOf(checkWith(t, conn, "/api/models/acme/m", secret).GetDeniedResponse().GetHeaders(), "x-error-code")
	}
	if got := code(); got != "" {
		t.Fatalf("approved: %s", got)
	}
	set := func(active bool) {
		t.Helper()
		if status, _, text := sendSCIM(t, "PATCH", base+"/Users/"+made.ID, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":%t}]}`, active), nil); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	set(false)
	if got := code(); got != "organization_forbidden" {
		t.Errorf("deactivated: %q", got)
	}
	set(true)
	if got := code(); got != "approval_pending" {
		t.Errorf("active again: %q", got)
	}
	rows, _, err := w.Store.Audit(t.Context(), "acme", inventory.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if r.Actor == (inventory.Actor{Kind: "scim", Name: "scim:acme"}) {
			seen[r.Action] = true
		}
	}
	if !seen["member.add"] || !seen["member.remove"] {
		t.Errorf("the audit shows of the directory: %v", seen)
	}
}

// TestOnlyTheDirectoryOfAnOrganizationIsLetIn, to its own organization.
func TestOnlyTheDirectoryOfAnOrganizationIsLetIn(t *testing.T) {
	w, base := provisioned(t)
	_, secret := w.fineToken(t, authz.KindFineGrained, 0)
	for name, c := range map[string]struct {
		path   string
		header string
		status int
	}{
		"the directory":                  {base + "/Users", "Bearer " + scimToken, 200},
		"in another spelling":            {base + "/Users", "bearer " + scimToken, 200},
		"nobody":                         {base + "/Users", "", 401},
		"another token":                  {base + "/Users", "Bearer " + scimToken + "x", 401},
		"a part of it":                   {base + "/Users", "Bearer " + scimToken[:40], 401},
		"a token of patrol's":            {base + "/Users", "Bearer " + secret.Reveal(), 403},
		"as Basic":                       {base + "/Users", "Basic " + scimToken, 400},
		"two of them":                    {base + "/Users", "Bearer " + scimToken + ", Bearer " + scimToken, 400},
		"of another organization":        {strings.Replace(base, "acme", "globex", 1) + "/Users", "Bearer " + scimToken, 401},
		"of none":                        {strings.Replace(base, "acme", "", 1) + "Users", "Bearer " + scimToken, 401},
		"by a way around":                {strings.Replace(base, "acme", "globex/../acme", 1) + "/../../../api/organizations", "Bearer " + scimToken, 401},
		"the admin API with its token":   {"http://" + w.Config.Admin.Listen + "/api/organizations", "Bearer " + scimToken, 401},
		"what everybody may read (they)": {base + "/ServiceProviderConfig", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Errorf("%d", resp.StatusCode)
			}
		})
	}
	// A token is changed in its file, without a restart.
	write(t, w.Config.SCIM.Organizations[0].TokenFile, strings.Repeat("another-token-", 4))
	if status, _, _ := sendSCIM(t, "GET", base+"/Users", "", nil); status != http.StatusUnauthorized {
		t.Errorf("the old one after the change: %d", status)
	}
	write(t, w.Config.SCIM.Organizations[0].TokenFile, "short")
	if status, _, _ := sendSCIM(t, "GET", base+"/Users", "", map[string]string{"Authorization": "Bearer short"}); status != http.StatusUnauthorized {
		t.Errorf("one that is too short: %d", status)
	}
}

func TestPagesAndVersionsOfADirectory(t *testing.T) {
	w, base := provisioned(t)
	var ids []string
	for i := range 5 {
		status, header, text := sendSCIM(t, "POST", base+"/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%d","active":%t}`, i, i%2 == 0), nil)
		var made struct{ ID string }
		if err := json.Unmarshal(text, &made); err != nil || status != http.StatusCreated || header.Get("Etag") != `W/"1"` || !strings.HasSuffix(header.Get("Location"), "/scim/v2/acme/Users/"+made.ID) {
			t.Fatalf("%d %v %s", status, header, text)
		}
		ids = append(ids, made.ID)
	}
	for query, want := range map[string]string{
		"startIndex=1&count=2": "5 user0 user1", "startIndex=5&count=2": "5 user4", "startIndex=9": "5", "count=0": "5", "startIndex=-3&count=1": "5 user0",
		"filter=active+eq+true": "3 user0 user2 user4", "filter=active+eq+true&startIndex=2&count=1": "3 user2", `filter=userName+sw+"user"+and+active+eq+false`: "2 user1 user3",
		`filter=userName+eq+"USER3"`: "1 user3", `filter=id+eq+"` + ids[1] + `"`: "1 user1", `filter=userName+eq+"nobody"`: "0",
	} {
		status, _, text := sendSCIM(t, "GET", base+"/Users?"+strings.ReplaceAll(query, `"`, "%22"), "", nil)
		var page struct {
			TotalResults int
			Resources    []struct{ UserName string }
		}
		if err := json.Unmarshal(text, &page); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, status, text)
		}
		got := fmt.Sprint(page.TotalResults)
		for _, r := range page.Resources {
			got += " " + r.UserName
		}
		if got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"x"}]}`
	for _, c := range []struct {
		match  string
		status int
	}{{`W/"2"`, 412}, {`W/"1"`, 200}, {`W/"1"`, 412}, {`"2"`, 200}, {"*", 200}} {
		if status, _, text := sendSCIM(t, "PATCH", base+"/Users/"+ids[0], patch, map[string]string{"If-Match": c.match}); status != c.status {
			t.Errorf("at %s: %d %s", c.match, status, text)
		}
	}
	if status, _, _ := sendSCIM(t, "DELETE", base+"/Users/"+ids[0], "", map[string]string{"If-Match": `W/"1"`}); status != 412 {
		t.Errorf("a deletion of another version: %d", status)
	}
	if m := w.member(t, "user1"); m.Role != "" {
		t.Errorf("one that was made inactive is %+v", m)
	}
}

func TestADirectoryAddressesItsOwnUsersOnly(t *testing.T) {
	w, base := provisioned(t)
	w.do(t, inventory.AddMember{Organization: "globex", User: "gail", Role: "admin", Email: "gail@globex.example"})
	sendSCIM(t, "POST", base+"/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"gail","emails":[{"value":"gail@acme.example","primary":true}]}`, nil)
	if m := w.member(t, "gail"); m.Role != "read" || m.Email != "gail@globex.example" {
		t.Errorf("a user of another organization's is %+v", m)
	}
	sendSCIM(t, "POST", base+"/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"deployer","userType":"Service Account","emails":[{"value":"team@acme.example"}]}`, nil)
	if m := w.member(t, "deployer"); m.Type != "service_account" || m.Email != "team@acme.example" || m.EmailConfirmedAt == nil {
		t.Errorf("a service account is %+v", m)
	}
	if m := w.member(t, "gail"); m.EmailConfirmedAt != nil {
		t.Errorf("one organization's directory confirmed the address of a user of others: %+v", m)
	}
}

// TestTheManagerOfAServiceAccountAnswersForIt: of RFC 7643's enterprise
// extension, where the directory names a user who is a member.
func TestTheManagerOfAServiceAccountAnswersForIt(t *testing.T) {
	w, base := provisioned(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "hand", Type: "service_account", Role: "read", Responsible: &[]string{"alice"}})
	const core, enterprise = `"urn:ietf:params:scim:schemas:core:2.0:User"`, `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	make := func(body string) string {
		t.Helper()
		status, _, text := sendSCIM(t, "POST", base+"/Users", `{"schemas":[`+core+`,`+enterprise+`],`+body+`}`, nil)
		var made struct{ ID string }
		if err := json.Unmarshal(text, &made); err != nil || status != http.StatusCreated {
			t.Fatalf("%d %v: %s", status, err, text)
		}
		return made.ID
	}
	answers := func(user string, want ...string) {
		t.Helper()
		if got := w.member(t, user).Responsible; !reflect.DeepEqual(got, want) {
			t.Errorf("for %s answer %v, want %v", user, got, want)
		}
	}
	mia := make(`"userName":"mia"`)
	robot := make(`"userName":"robot","userType":"bot"`)
	account := make(`"userName":"ci","userType":"Service Account",` + enterprise + `:{"manager":{"value":"` + mia + `"}}`)
	answers("ci", "mia")
	patch := func(id, operation string) {
		t.Helper()
		body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
		if status, _, text := sendSCIM(t, "PATCH", base+"/Users/"+id, body, nil); status != http.StatusOK {
			t.Fatalf("%d: %s", status, text)
		}
	}
	patch(mia, `{"op":"replace","path":"active","value":false}`)
	answers("ci")
	patch(mia, `{"op":"replace","path":"active","value":true}`)
	answers("ci", "mia")
	patch(account, `{"op":"replace","path":`+strings.TrimSuffix(enterprise, `"`)+`:manager","value":{"value":"`+robot+`"}}`)
	answers("ci")
	// A directory that names nobody leaves who was named by hand; and an account
	// stays one where it does not say what it is.
	make(`"userName":"hand"`)
	answers("hand", "alice")
	if m := w.member(t, "hand"); m.Type != "service_account" {
		t.Errorf("hand is %+v", m)
	}
	patch(account, `{"op":"replace","path":"userType","value":"Employee"}`)
	if m := w.member(t, "ci"); m.Type != "user" || m.Responsible != nil {
		t.Errorf("who became a person is %+v", m)
	}
}

// TestADirectoryComesWithATokenOfTheInventory that may do just that: judged as
// each caller of the admin API is, and named by the audit.
func TestADirectoryComesWithATokenOfTheInventory(t *testing.T) {
	b := startBureau(t, func(c *Config) {
		c.SCIM.Organizations = []SCIMOrganizationConfig{{Organization: acme, DefaultRole: "read"}}
	})
	b.do(t, inventory.AddMember{Organization: acme, User: "idp", Type: "service_account", Role: "admin"})
	b.issue("directory", "idp", []string{"org.scim.write"}, acme)
	b.issue("directory_of_a_writer", "bob", []string{"org.scim.write"}, acme)
	b.do(t, inventory.Approve{Organization: acme, Token: b.ids["directory_of_a_writer"]})
	const users = "/scim/v2/acme/Users"
	for _, c := range []struct {
		caller, path string
		status       int
	}{
		{"directory", users, 200},
		{"operator", users, 200},
		{"admin", users, 403}, // every other permission of an administrator
		{"directory_of_a_writer", users, 403},
		{"admin_elsewhere", users, 403},
		{"member", users, 403},
		{"pending", users, 403},
		{"unscoped", users, 403},
		{"revoked", users, 403},
		{"suspended", users, 403},
		{"disabled", users, 401},
		{"unknown", users, 401},
		{"nobody", users, 401},
		{"directory", "/scim/v2/globex/Users", 403},
		{"directory", "/scim/v2/nowhere/Users", 403},
		{"operator", "/scim/v2/globex/Users", 404},
	} {
		a := b.call(c.caller, "GET", c.path, nil)
		if a.status != c.status || c.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s asks for %s: %d, want %d: %v %s", c.caller, c.path, a.status, c.status, a.header, a.body)
		}
		if c.status >= 400 && !strings.Contains(string(a.body), "urn:ietf:params:scim:api:messages:2.0:Error") {
			t.Errorf("%s is refused, and hears %s", c.caller, a.body)
		}
	}
	// Which organizations there are is not told.
	elsewhere, nowhere := b.call("directory", "GET", "/scim/v2/globex/Users", nil), b.call("directory", "GET", "/scim/v2/nowhere/Users", nil)
	if strings.ReplaceAll(string(elsewhere.body), "globex", "NAME") != strings.ReplaceAll(string(nowhere.body), "nowhere", "NAME") {
		t.Errorf("%s\n%s", elsewhere.body, nowhere.body)
	}
	const dana = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"dana","emails":[{"value":"dana@example.com"}]}`
	before := b.lastChange()
	for _, caller := range []string{"admin", "pending", "nobody"} {
		if a := b.call(caller, "POST", users, dana); a.status < 400 || b.lastChange().Seq != before.Seq {
			t.Errorf("%s makes a user: %d", caller, a.status)
		}
	}
	if a := b.call("directory", "POST", users, dana, "Content-Type", "application/scim+json"); a.status != 201 {
		t.Fatalf("the directory makes a user: %d %s", a.status, a.body)
	}
	if m := b.member(t, "dana"); m.Role != "read" || m.EmailConfirmedAt == nil {
		t.Errorf("dana is %+v", m)
	}
	last := b.lastChange()
	if last.Action != "member.add" || last.Actor != (inventory.Actor{Kind: "token", Name: "idp"}) || last.Details["acting_token"] != b.ids["directory"] {
		t.Errorf("the audit says %+v", last)
	}
	// It does nothing else, and ends with its owner's role.
	if a := b.call("directory", "PUT", "/api/organizations/acme/members/zoe", map[string]any{"role": "read"}); a.status != 403 {
		t.Errorf("it sets a member by the API: %d", a.status)
	}
	b.do(t, inventory.AddMember{Organization: acme, User: "idp", Role: "write"})
	if a := b.call("directory", "GET", users, nil); a.status != 403 {
		t.Errorf("its owner is no administrator any more: %d %s", a.status, a.body)
	}
}

// TestTheSectionSCIMIsCheckedByItsLine: each wrong one is told with its place.
func TestTheSectionSCIMIsCheckedByItsLine(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	write(t, token, scimToken)
	write(t, filepath.Join(dir, "short"), "short")
	good := strings.ReplaceAll(`scim:
  organizations:
    - organization: acme
      token_file: TOKEN
      groups:
        - {group: acme-admins, role: admin}
      default_role: read
      user_name: whole
`, "TOKEN", token)
	path := filepath.Join(dir, "patrol.yaml")
	write(t, path, good)
	if _, err := loadConfig(path); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][3]string{
		"no organization's name":      {"organization: acme", "organization: A me", "[3:21] scim.organizations[0].organization: "},
		"an organization twice":       {"    - organization: acme", "    - {organization: acme, token_file: " + token + "}\n    - organization: acme", "[4:21] scim.organizations[1].organization: "},
		"a token that is not there":   {token, "/nowhere", "[4:19] scim.organizations[0].token_file: "},
		"a token that is short":       {token, filepath.Join(dir, "short"), "[4:19] scim.organizations[0].token_file: "},
		"a role that there is not":    {"role: admin", "role: owner", "[6:38] scim.organizations[0].groups[0].role: "},
		"a group without a name":      {"group: acme-admins", "group: \"\"", "[6:19] scim.organizations[0].groups[0].group: "},
		"no default role":             {"default_role: read", "default_role: all", "[7:21] scim.organizations[0].default_role: "},
		"another way of making names": {"user_name: whole", "user_name: email", "[8:18] scim.organizations[0].user_name: "},
		"a key that there is not":     {"default_role", "role", `unknown field "role"`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, change[0]) {
				t.Fatalf("there is no %q", change[0])
			}
			write(t, path, strings.Replace(good, change[0], change[1], 1))
			if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), change[2]) {
				t.Errorf("it says %v; want %s", err, change[2])
			}
		})
	}
}
