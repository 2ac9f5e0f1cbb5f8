package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestBadInputNamesWhatIsWrongAndChangesNothing: the right status and code, the
// field named, over the socket as over TCP.
func TestBadInputNamesWhatIsWrongAndChangesNothing(t *testing.T) {
	b := startBureau(t)
	pending := "/api/organizations/acme/settings/tokens/" + b.ids["pending"]
	type asked struct {
		name, method, path string
		body               any
		headers            []string
		status             int
		code, field        string
	}
	long := strings.Repeat("x", 3000)
	for _, c := range []asked{
		{"an unknown member", "POST", "/api/organizations", map[string]any{"name": "new", "colour": "red"}, nil, 422, "invalid", "colour"},
		{"an unknown member of a member", "POST", "/api/tokens", map[string]any{"owner": "bob", "display_name": "x", "kind": "fine-grained", "grants": []any{map[string]any{"entity": map[string]any{"type": "organization", "name": "acme", "x": 1}, "permissions": []string{"a"}}}}, nil, 422, "invalid", "grants[0].entity.x"},
		{"an unknown parameter", "GET", "/api/organizations?colour=red", nil, nil, 422, "invalid", "colour"},
		{"a missing member", "POST", "/api/organizations", map[string]any{}, nil, 422, "invalid", "name"},
		{"no body at all", "POST", "/api/organizations", nil, nil, 400, "bad_request", ""},
		{"a body that is no JSON", "POST", "/api/organizations", `{"name":`, nil, 400, "bad_request", ""},
		{"a body of another type", "POST", "/api/organizations", `name: x`, []string{"Content-Type", "application/yaml"}, 415, "unsupported_media_type", ""},
		{"a wrong type", "POST", "/api/organizations", map[string]any{"name": 7}, nil, 422, "invalid", "name"},
		{"a value that is none of the known", "POST", "/api/organizations", map[string]any{"name": "new", "enforcement": "hard"}, nil, 422, "invalid", "enforcement"},
		{"an over-long value", "POST", pending + "/deny", map[string]any{"version": 1, "reason": long}, nil, 422, "invalid", "reason"},
		{"a limit too high", "GET", "/api/organizations?limit=1001", nil, nil, 422, "invalid", "limit"},
		{"a limit that is none", "GET", "/api/organizations?limit=many", nil, nil, 422, "invalid", "limit"},
		{"a cursor of nobody", "GET", "/api/organizations/acme/settings/approvals?cursor=nonsense", nil, nil, 422, "invalid", "cursor"},
		{"a status that is none", "GET", "/api/organizations/acme/settings/tokens?status=nonsense", nil, nil, 422, "invalid", "status"},
		{"a control character", "POST", pending + "/suspend", map[string]any{"comment": "a\u0000b"}, nil, 422, "invalid", "comment"},
		{"an unknown organization", "GET", "/api/organizations/nowhere", nil, nil, 404, "not_found", ""},
		{"an unknown token", "GET", "/api/tokens/nonsense", nil, nil, 404, "not_found", ""},
		{"another organization's token", "GET", "/api/organizations/globex/settings/tokens/" + b.ids["admin"], nil, nil, 404, "not_found", ""},
		{"an unknown member of an organization", "DELETE", "/api/organizations/acme/members/zoe", nil, nil, 404, "not_found", ""},
		{"a version that was not reviewed", "POST", pending + "/approve", map[string]any{"version": 9}, nil, 409, "conflict", ""},
		{"a denial of another version", "POST", pending + "/deny", map[string]any{"version": 9, "reason": "x"}, nil, 409, "conflict", ""},
		{"a name that is taken", "POST", "/api/organizations", map[string]any{"name": "acme"}, nil, 409, "conflict", ""},
		{"a stale organization", "PUT", "/api/organizations/acme/settings/token-policy", map[string]any{"enforcement": "observe"}, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"a stale token", "POST", "/api/tokens/" + b.ids["pending"] + "/disable", nil, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"a stale token of an organization", "POST", pending + "/suspend", nil, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"an ETag that is none of ours", "POST", "/api/tokens/" + b.ids["pending"] + "/disable", nil, []string{"If-Match", `9`}, 422, "invalid", "If-Match"},
		{"a version where there is none", "POST", pending + "/comment", map[string]any{"comment": "x"}, []string{"If-Match", `"1"`}, 422, "invalid", "If-Match"},
		{"a stale member", "PUT", "/api/organizations/acme/members/bob", map[string]any{"role": "admin"}, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"a stale member that is to go", "DELETE", "/api/organizations/acme/members/bob", nil, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"a stale member's address", "POST", "/api/organizations/acme/members/bob/confirm", nil, []string{"If-Match", `"9"`}, 412, "precondition_failed", "If-Match"},
		{"a member who is there already", "PUT", "/api/organizations/acme/members/bob", map[string]any{"role": "admin"}, []string{"If-None-Match", "*"}, 412, "precondition_failed", "If-None-Match"},
		{"two conditions at once", "PUT", "/api/organizations/acme/members/bob", map[string]any{"role": "admin"}, []string{"If-None-Match", "*", "If-Match", `"9"`}, 422, "invalid", "If-None-Match"},
		{"a condition that is none of ours", "PUT", "/api/organizations/acme/members/bob", map[string]any{"role": "admin"}, []string{"If-None-Match", `"9"`}, 422, "invalid", "If-None-Match"},
		{"a condition that is not looked at", "POST", "/api/organizations", map[string]any{"name": "new"}, []string{"If-None-Match", "*"}, 422, "invalid", "If-None-Match"},
		{"a policy change that is none", "PUT", "/api/organizations/acme/settings/token-policy", map[string]any{}, nil, 422, "invalid", "body"},
		{"a key with a space", "POST", "/api/organizations", map[string]any{"name": "new"}, []string{"Idempotency-Key", "a b"}, 422, "invalid", "Idempotency-Key"},
		{"more than a hundred", "POST", "/api/organizations/acme/settings/tokens/revoke", map[string]any{"ids": many(101)}, nil, 422, "invalid", "ids"},
		{"one twice", "POST", "/api/organizations/acme/settings/tokens/revoke", map[string]any{"ids": []string{"a", "a"}}, nil, 422, "invalid", "ids"},
		{"none of them", "POST", "/api/organizations/acme/settings/tokens/revoke", map[string]any{"ids": []string{}}, nil, 422, "invalid", "ids"},
		{"a body that is too great", "POST", "/api/organizations", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "request_entity_too_large", ""},
		{"a path that is nowhere", "GET", "/api/nowhere", nil, nil, 404, "not_found", ""},
		{"a method that is not taken", "PATCH", "/api/organizations", nil, nil, 405, "method_not_allowed", ""},
	} {
		before := b.lastChange()
		for _, caller := range []string{"socket", "operator"} {
			a := b.call(caller, c.method, c.path, c.body, append([]string{"X-Request-Id", "mine-1"}, c.headers...)...)
			if caller == "operator" && strings.HasSuffix(c.path, "/token-policy") {
				continue // not for a token
			}
			p := a.problem(t)
			if a.status != c.status || p.Code != c.code || a.header.Get("Content-Type") != "application/problem+json" || p.RequestID != "mine-1" || a.header.Get("X-Request-Id") != "mine-1" || p.Error == "" {
				t.Errorf("%s, by the %s: %d %s, want %d %s", c.name, caller, a.status, a.body, c.status, c.code)
			}
			if c.field != "" && !slices.ContainsFunc(p.Errors, func(f struct{ Field, Message string }) bool { return f.Field == c.field && f.Message != "" }) {
				t.Errorf("%s: the field %s is not named: %s", c.name, c.field, a.body)
			}
			if (a.status == 409 && strings.Contains(c.path, "/tokens/") || a.status == 412) && len(p.Present) == 0 {
				t.Errorf("%s: what is present is not shown: %s", c.name, a.body)
			}
			if a.status == 405 && a.header.Get("Allow") == "" {
				t.Errorf("%s: no Allow", c.name)
			}
		}
		if b.lastChange().Seq != before.Seq {
			t.Errorf("%s: something was changed", c.name)
		}
	}
}

func many(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("id-", i))
	}
	return ids
}

// TestAValueThatIsRefusedIsNotRepeated: it may be a secret in the wrong place.
func TestAValueThatIsRefusedIsNotRepeated(t *testing.T) {
	b := startBureau(t)
	for _, body := range []string{`{"name":"acme","token_policy":{"x":"s3cr3t"}}`, `{"name":["s3cr3t"]}`, `{"name":"new","enforcement":"s3cr3t"}`, `{"name":"s3cr3t`} {
		if a := b.call("socket", "POST", "/api/organizations", body); a.status < 400 || strings.Contains(string(a.body), "s3cr3t") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestAMemberIsChangedAsItWasRead: by its ETag, which is the version that each row
// of the listing has.
func TestAMemberIsChangedAsItWasRead(t *testing.T) {
	b := startBureau(t)
	path := "/api/organizations/acme/members/"
	do := func(method, path string, in any, headers ...string) (a answered, row inventory.MemberRow) {
		t.Helper()
		a = b.call("admin", method, path, in, headers...)
		if a.status == 200 {
			if err := json.Unmarshal(a.body, &row); err != nil {
				t.Fatal(err)
			}
			if got := a.header.Get("ETag"); got != fmt.Sprintf("%q", fmt.Sprint(row.Version)) {
				t.Errorf("%s %s: version %d, and the ETag %s", method, path, row.Version, got)
			}
		}
		return a, row
	}
	a, made := do("PUT", path+"zoe", map[string]any{"role": "read"}, "If-None-Match", "*")
	if a.status != 200 || made.Role != "read" || made.Version == 0 {
		t.Fatalf("made: %d %s", a.status, a.body)
	}
	if _, read := do("GET", path+"zoe", nil); !reflect.DeepEqual(read, made) {
		t.Errorf("made %+v, and read %+v", made, read)
	}
	var rows []inventory.MemberRow
	if err := json.Unmarshal(b.call("admin", "GET", path[:len(path)-1]+"?q=zoe", nil).body, &rows); err != nil || len(rows) != 1 || rows[0].Version != made.Version {
		t.Errorf("the listing has %+v, %v", rows, err)
	}
	tag := a.header.Get("ETag")
	a, changed := do("PUT", path+"zoe", map[string]any{"role": "write"}, "If-Match", tag)
	if a.status != 200 || changed.Version == made.Version {
		t.Fatalf("changed: %d %s", a.status, a.body)
	}
	for _, stale := range []struct {
		method string
		in     any
		header []string
	}{{"PUT", map[string]any{"role": "admin"}, []string{"If-Match", tag}}, {"DELETE", nil, []string{"If-Match", tag}}, {"PUT", map[string]any{"role": "admin"}, []string{"If-None-Match", "*"}}} {
		a, _ := do(stale.method, path+"zoe", stale.in, stale.header...)
		if p := a.problem(t).Present; a.status != 412 || p["version"] != float64(changed.Version) || p["role"] != "write" {
			t.Errorf("%s %v: %d %s", stale.method, stale.header, a.status, a.body)
		}
	}
	if a, _ := do("DELETE", path+"zoe", nil, "If-Match", fmt.Sprintf(`"%d"`, changed.Version)); a.status != 204 {
		t.Errorf("removed: %d %s", a.status, a.body)
	}
	// Who is gone is at no version.
	for _, c := range []struct {
		method, match string
		status        int
	}{{"GET", "", 404}, {"DELETE", tag, 404}, {"PUT", tag, 412}, {"PUT", "*", 412}} {
		var headers []string
		if c.match != "" {
			headers = []string{"If-Match", c.match}
		}
		var in any
		if c.method == "PUT" {
			in = map[string]any{"role": "read"}
		}
		if a, _ := do(c.method, path+"zoe", in, headers...); a.status != c.status {
			t.Errorf("%s %s of who is gone: %d %s", c.method, c.match, a.status, a.body)
		}
	}
	if a, again := do("PUT", path+"zoe", map[string]any{"role": "write"}); a.status != 200 || again.Version == changed.Version {
		t.Errorf("who comes back: %d %s", a.status, a.body)
	}
	if a, _ := do("PUT", path+"zoe", map[string]any{"role": "write"}, "If-Match", "*"); a.status != 200 {
		t.Errorf("whatever is there: %d %s", a.status, a.body)
	}
}

// TestTheLastAdministratorStays: also where somebody else changed the members since
// they were read.
func TestTheLastAdministratorStays(t *testing.T) {
	b := startBureau(t)
	path := "/api/organizations/acme/members/"
	var admins []inventory.MemberRow
	if err := json.Unmarshal(b.call("operator", "GET", path[:len(path)-1]+"?role=admin", nil).body, &admins); err != nil || len(admins) == 0 {
		t.Fatalf("acme has the administrators %v, %v", admins, err)
	}
	last := admins[0].User
	for _, other := range admins[1:] {
		if a := b.call("operator", "PUT", path+other.User, map[string]any{"role": "write"}); a.status != 200 {
			t.Fatalf("%s: %d %s", other.User, a.status, a.body)
		}
	}
	for _, c := range []struct {
		method, query string
		in            any
		status        int
	}{
		{"PUT", "", map[string]any{"role": "write"}, 409},
		{"DELETE", "", nil, 409},
		{"PUT", "", map[string]any{}, 200}, // the role stays
		{"PUT", "", map[string]any{"role": "admin"}, 200},
		{"PUT", "?force=true", map[string]any{"role": "write"}, 200},
		{"PUT", "", map[string]any{"role": "admin"}, 200},
		{"DELETE", "?force=true", nil, 204},
	} {
		a := b.call("operator", c.method, path+last+c.query, c.in)
		if a.status != c.status || a.status == 409 && !strings.Contains(a.problem(t).Detail, last+" is the last administrator of acme") {
			t.Errorf("%s %s %v: %d %s", c.method, c.query, c.in, a.status, a.body)
		}
	}
}

func TestPagesShowEachRowOnce(t *testing.T) {
	b := startBureau(t)
	for i := range 25 {
		b.issueAs(fmt.Sprintf("page-%02d", i), inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme)})
	}
	for _, path := range []string{
		"/api/organizations", "/api/tokens?kind=fine-grained", "/api/organizations/acme/members", "/api/organizations/acme/audit", "/api/audit",
		"/api/organizations/acme/settings/tokens?owner=bob&q=page-", "/api/organizations/acme/settings/tokens?status=pending", "/api/organizations/acme/settings/approvals?status=all",
	} {
		whole, parts := b.pages(path, 1000), b.pages(path, 2)
		for again := b.pages(path, 1000); !slices.Equal(whole, again); again = b.pages(path, 1000) {
			whole, parts = again, b.pages(path, 2) // patrol's own work came in between
		}
		if len(whole) < 2 || !slices.Equal(whole, parts) {
			t.Errorf("%s: %d rows, in pages of two %d", path, len(whole), len(parts))
		}
	}
}

// pages reads a listing by its Links.
func (b *bureau) pages(path string, limit int) (rows []string) {
	b.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for next := fmt.Sprintf("%s%slimit=%d", path, separator, limit); next != ""; {
		a := b.call("socket", "GET", next, nil)
		var page []json.RawMessage
		if err := json.Unmarshal(a.body, &page); a.status != 200 || err != nil || len(page) > limit {
			b.t.Fatalf("%s: %d, %v, %d rows", next, a.status, err, len(page))
		}
		for _, r := range page {
			rows = append(rows, string(r))
		}
		link, ok := strings.CutSuffix(a.header.Get("Link"), `>; rel="next"`)
		if next = strings.TrimPrefix(link, "<"); !ok {
			return rows
		}
	}
	return rows
}

// TestARequestThatComesAgainIsCarriedOutOnce, and its secret is told once.
func TestARequestThatComesAgainIsCarriedOutOnce(t *testing.T) {
	b := startBureau(t)
	body := map[string]any{"owner": "alice", "display_name": "again", "kind": "fine-grained", "grants": grantsOn([]string{"repo.write"}, acme)}
	issue := func(caller, key string, body any) (answered, admin.IssuedToken) {
		a := b.call(caller, "POST", "/api/tokens", body, "Idempotency-Key", key)
		var out admin.IssuedToken
		_ = json.Unmarshal(a.body, &out)
		return a, out
	}
	_, first := issue("admin", "key-of-alice", body)
	if first.Secret == "" || first.ID == "" {
		t.Fatalf("nothing was issued: %+v", first)
	}
	for range 2 {
		a, again := issue("admin", "key-of-alice", body)
		if again.ID != first.ID || again.Secret != "" || strings.Contains(string(a.body), "ptl_") || a.header.Get("Idempotent-Replayed") != "true" || a.status != 200 {
			t.Errorf("again: %d %s", a.status, a.body)
		}
	}
	if _, other := issue("socket", "key-of-alice", body); other.ID == first.ID || other.Secret == "" {
		t.Error("the key of one caller is another's too")
	}
	body["display_name"] = "another"
	if a, _ := issue("admin", "key-of-alice", body); a.status != 422 || a.problem(t).Code != "idempotency_key_reused" {
		t.Errorf("another request with the same key: %d %s", a.status, a.body)
	}
	// A refusal is repeated too; who may no longer ask hears that instead.
	refused := map[string]any{"owner": "nobody", "display_name": "x", "kind": "read"}
	for range 2 {
		if a, _ := issue("socket", "refused", refused); a.status != 422 || a.problem(t).Errors[0].Field != "owner" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	b.do(t, inventory.DisableToken{Token: b.ids["admin"]})
	body["display_name"] = "again"
	if a, _ := issue("admin", "key-of-alice", body); a.status != 401 {
		t.Errorf("a disabled token is answered from what was kept: %d", a.status)
	}
	for path, text := range contents(t, b.Config.DataDir) {
		if strings.Contains(text, first.Secret) || strings.Contains(text, "key-of-alice") {
			t.Errorf("%s holds the secret, or the key", path)
		}
	}
	for _, suffix := range []string{"-wal"} {
		if text, err := os.ReadFile(filepath.Join(b.Config.DataDir, "patrol.db"+suffix)); err == nil && (strings.Contains(string(text), first.Secret) || strings.Contains(string(text), "key-of-alice")) {
			t.Errorf("patrol.db%s holds the secret, or the key", suffix)
		}
	}
}

func TestSeveralTokensAtOnceEachWithItsResult(t *testing.T) {
	b := startBureau(t)
	base := "/api/organizations/acme/settings/tokens"
	a := b.call("admin", "POST", base+"/suspend", map[string]any{"ids": []string{b.ids["pending"], b.ids["reader"], b.ids["reviewer"], "none", b.ids["admin_elsewhere"]}, "comment": "clean-up"})
	var out admin.BulkResults
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 || out.Succeeded != 2 || out.Failed != 3 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i, want := range []int{200, 200, 403, 404, 404} {
		r := out.Results[i]
		if r.Status != want || (r.Problem == nil) != (want == 200) || want == 200 && r.Authorization.Status != "suspended" {
			t.Errorf("result %d: %+v, want %d", i, r, want)
		}
	}
	version := func(name string, n int64) map[string]any { return map[string]any{"id": b.ids[name], "version": n} }
	more := b.issueAs("more", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme)})
	a = b.call("reviewer", "POST", base+"/approve", map[string]any{"tokens": []any{version("more", 1), version("pending", 7), version("admin", 1)}})
	if err := json.Unmarshal(a.body, &out); err != nil || out.Results[0].Status != 200 || out.Results[0].Authorization.Status != "approved" || out.Results[1].Status != 409 || out.Results[2].Status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = b.call("reviewer", "POST", base+"/deny", map[string]any{"tokens": []any{map[string]any{"id": more, "version": 1}}, "reason": "no"})
	if err := json.Unmarshal(a.body, &out); err != nil || out.Results[0].Authorization == nil || out.Results[0].Authorization.Status != "denied" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestWhoamiSpeaksTheHubsShape, and says what keeps the token out.
func TestWhoamiSpeaksTheHubsShape(t *testing.T) {
	b := startBureau(t)
	for _, c := range []struct {
		caller, role, restriction, reason string
	}{
		{"admin", "fineGrained", "", ""},
		{"reviewer", "fineGrained", "", ""},
		{"unscoped", "write", "token-policy", "token_type_not_allowed"},
		{"pending", "fineGrained", "token-policy", "approval_pending"},
		{"revoked", "fineGrained", "token-revoked", "token_revoked"},
		{"suspended", "fineGrained", "token-policy", "token_suspended"},
	} {
		var who admin.Whoami
		a := b.call(c.caller, "GET", "/api/whoami-v2", nil)
		if err := json.Unmarshal(a.body, &who); err != nil || a.status != 200 || who.Type != "user" || who.Auth.Type != "access_token" || who.Auth.AccessToken.Role != c.role {
			t.Errorf("%s: %d %s", c.caller, a.status, a.body)
			continue
		}
		i := slices.IndexFunc(who.Orgs, func(o admin.WhoamiOrganization) bool { return o.Name == acme })
		if i < 0 || strings.Join(who.Orgs[i].SecurityRestrictions, ",") != c.restriction || who.Orgs[i].Reason != c.reason || who.Orgs[i].RoleInOrg == "" {
			t.Errorf("%s: %s", c.caller, a.body)
		}
	}
}

// TestACheckTellsATokenOnlyOfItsOwnOrganizations, and not what the token in
// question may do elsewhere.
func TestACheckTellsATokenOnlyOfItsOwnOrganizations(t *testing.T) {
	b := startBureau(t)
	check := func(caller, path string) answered {
		return b.call(caller, "POST", "/api/check", map[string]any{"method": "GET", "path": path, "token": b.secrets["member"].Reveal()})
	}
	if a := check("reader", "/api/models/acme/m"); a.status != 200 || strings.Contains(string(a.body), `"input"`) || strings.Contains(string(a.body), globex) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := check("socket", "/api/models/acme/m"); a.status != 200 || !strings.Contains(string(a.body), `"input"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/api/models/globex/m", "/api/models/nowhere/m", "/api/whoami-v2", "/no/route", "/api/models?author=acme&author=globex", "/a/../b"} {
		if a := check("reader", path); a.status != 403 || a.problem(t).Code != "organization_forbidden" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// TestWhatFailsInTheServerIsToldInTheLog, not to the caller.
func TestWhatFailsInTheServerIsToldInTheLog(t *testing.T) {
	b := startBureau(t)
	b.Store.Close()
	a := b.call("socket", "GET", "/api/organizations", nil)
	p := a.problem(t)
	if a.status != http.StatusInternalServerError || p.Code != "internal" || strings.Contains(string(a.body), "database") {
		t.Errorf("%d %s", a.status, a.body)
	}
	log, err := os.ReadFile(b.logs)
	if err != nil || !strings.Contains(string(log), p.RequestID) || !strings.Contains(string(log), "database") {
		t.Errorf("the log does not say what failed in %s:\n%s", p.RequestID, log)
	}
}
