package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/record"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// api is a client of the App's own socket.
func (w *world) api(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.New("unix:" + filepath.Join(w.Config.DataDir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a request with a token's secret to the real server, and gives the
// reason of the answer.
func (w *world) ask(t *testing.T, method, path, token, requestID string) string {
	t.Helper()
	c := &testCase{id: requestID}
	c.Request.Method, c.Request.Path = method, path
	c.Request.Headers = [][2]string{{"x-request-id", requestID}, {"user-agent", "git/2.47"}}
	if token != "" {
		c.Request.Headers = append(c.Request.Headers, [2]string{"authorization", "Bearer " + token})
	}
	return serverTier(t, w)(t, c).Reason
}

func TestWhyARequestWasRefused(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api := w.api(t)
	ctx := context.Background()
	for _, c := range []struct {
		id, path, token, reason, organization, owner string
	}{
		{"q-pending", "/api/models/acme/model?revision=secret", "{bob_fine}", "approval_pending", "acme", "bob"},
		{"q-missing", "/api/models/acme/model", "", "credential_missing", "acme", ""},
		{"q-unknown", "/api/models/acme/model", "ptl_unknownunknownunknownunknownunknown1", "token_unknown", "acme", ""},
		{"q-twice", "/api/models/acme/model", "{bob_fine},{bob_fine}", "credential_malformed", "", ""},
		{"q-route", "/no/such/{bob_fine}/route", "{bob_fine}", "route_unknown", "", "bob"},
	} {
		path := strings.ReplaceAll(c.path, "{bob_fine}", w.secrets["bob_fine"].Reveal())
		if reason := w.ask(t, "GET", path, c.token, c.id); reason != c.reason {
			t.Errorf("%s: answered %s", c.id, reason)
		}
		got, err := api.Refusal(ctx, "", c.id)
		if err != nil {
			t.Errorf("%s: %v", c.id, err)
			continue
		}
		if got.Reason != c.reason || got.Organization != c.organization || got.Owner != c.owner || got.Message == "" || got.Request.Address != "192.0.2.7" ||
			got.Request.Headers["user-agent"] != "git/2.47" || got.Request.Method != "GET" {
			t.Errorf("%s: %+v", c.id, got)
		}
		if c.owner != "" && (got.Token != w.ids["bob_fine"] || !strings.Contains(string(got.Facts), `"kind":"fine-grained"`)) {
			t.Errorf("%s: the token is %q, the facts are %s", c.id, got.Token, got.Facts)
		}
		for _, s := range []string{w.secrets["bob_fine"].Reveal(), "ptl_unknown", "secret"} {
			if text := got.Request.Path + strings.Join(got.Request.Query, " ") + string(got.Facts); strings.Contains(text, s) {
				t.Errorf("%s shows %q: %s", c.id, s, text)
			}
		}
	}
	_, err := api.Refusal(ctx, "", "q-never")
	var said *client.Error
	if !errors.As(err, &said) || said.Status != 404 || !strings.Contains(said.Detail, "q-never") || !strings.Contains(said.Detail, w.here.ID+") was asked, the only one") {
		t.Errorf("a refusal that never was: %v", err)
	}
}

// TestAReusedRequestIDHidesNoRefusal: whoever sends the id of another's request again,
// of another organization or of none, takes the refusal from no administrator.
func TestAReusedRequestIDHidesNoRefusal(t *testing.T) {
	b := startBureau(t)
	refuse := func(path, token, reason string) {
		t.Helper()
		if got := b.ask(t, "GET", path, token, "victim-1"); got != reason {
			t.Fatalf("%s: answered %s", path, got)
		}
	}
	refuse("/api/models/acme/m", b.secrets["pending"].Reveal(), "approval_pending")
	found := func(caller, path string) (status int, reason string) {
		t.Helper()
		var r record.Refusal
		a := b.call(caller, "GET", path, nil)
		_ = json.Unmarshal(a.body, &r) // a problem has no reason
		return a.status, r.Reason
	}
	ours, theirs := "/api/organizations/acme/settings/refusals/victim-1", "/api/organizations/globex/settings/refusals/victim-1"
	if status, _ := found("admin_elsewhere", theirs); status != 404 {
		t.Errorf("another organization's administrator: %d", status)
	}
	refuse("/api/models/globex/m", "", "credential_missing")
	refuse("/no/such/route", "", "route_unknown")
	for _, c := range []struct{ caller, path, reason string }{
		{"admin", ours, "approval_pending"}, {"admin_elsewhere", theirs, "credential_missing"}, {"operator", "/api/refusals/victim-1", "route_unknown"},
	} {
		if status, reason := found(c.caller, c.path); status != 200 || reason != c.reason {
			t.Errorf("%s %s: %d %q, want %q", c.caller, c.path, status, reason, c.reason)
		}
	}
}

// TestEachReplicaKeepsItsOwnRefusals: what one has not kept, it says where to look for.
func TestEachReplicaKeepsItsOwnRefusals(t *testing.T) {
	all := replicas(t, postgrestest.Start(t).Database(t), nil)
	ctx := context.Background()
	all[0].populate(t, filepath.Join(casesDir, "world.json"))
	if reason := all[1].ask(t, "GET", "/api/models/acme/model", "", "q-elsewhere"); reason != "credential_missing" {
		t.Fatalf("answered %s", reason)
	}
	if _, err := all[1].api(t).Refusal(ctx, "", "q-elsewhere"); err != nil {
		t.Errorf("who refused it: %v", err)
	}
	var said *client.Error
	_, err := all[0].api(t).Refusal(ctx, "", "q-elsewhere")
	if !errors.As(err, &said) || said.Status != 404 || !strings.Contains(said.Detail, all[0].here.ID+") was asked; ask the others") ||
		!strings.Contains(said.Detail, all[1].here.ID) || !strings.Contains(said.Detail, all[2].here.ID) {
		t.Errorf("another one: %v", err)
	}
	// Which replicas there are is the operator's to know.
	_, err = all[0].api(t).Refusal(ctx, "acme", "q-elsewhere")
	if !errors.As(err, &said) || said.Status != 404 || !strings.Contains(said.Detail, all[0].here.ID) || strings.Contains(said.Detail, all[1].here.ID) {
		t.Errorf("as an organization: %v", err)
	}
}
