package main

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/rego"
)

// scraped reads the metrics of the running server, by name and labels as they
// are written.
func (w *world) scraped(t *testing.T) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + w.Config.Diagnostics.Listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			if out[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	return out
}

// waiving are bundles by which scoped-works has an exception, and acme would let
// revoked tokens pass, were it not for the safety net.
func waiving(t *testing.T) []string {
	t.Helper()
	base, dir := t.TempDir(), t.TempDir()
	if err := os.CopyFS(base, rego.Base()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(base, "patrol/admission/revoked.rego"), "package patrol.admission\n\ngranted if input.authorization.state == \"revoked\"\n")
	write(t, filepath.Join(dir, "local/exceptions/data.json"), `{
	"ci": {"reasons": ["token_type_not_allowed"], "owner": "eve", "ticket": "SEC-1", "until": "2200-01-01T00:00:00Z", "organizations": ["scoped-works"]},
	"ghost": {"reasons": ["token_revoked"], "owner": "eve", "ticket": "SEC-2", "until": "2200-01-01T00:00:00Z", "organizations": ["acme"]}}`)
	write(t, filepath.Join(dir, "local/catalogue/data.json"), `{"token_revoked": {"waivable": true}}`)
	return []string{base, dir}
}

// TestMetricsTellWhatHappened: after known traffic each counts what it says.
func TestMetricsTellWhatHappened(t *testing.T) {
	const approval, scoped = "require_administrator_approval", "only_fine_grained_tokens"
	w := startApp(t, func(c *Config) { c.Policy.Bundles = waiving(t) })
	w.people(t)
	for name, c := range map[string]inventory.CreateOrganization{"scoped-works": {TokenPolicy: scoped}, "watch-inc": {TokenPolicy: approval, Enforcement: authz.Observe}} {
		c.Name = name
		w.do(t, c)
		w.do(t, inventory.AddMember{Organization: name, User: "bob", Role: "write"})
	}
	token := func(kind string, organizations ...string) (string, credential.Secret) {
		secret := credential.Generate()
		c := inventory.IssueToken{Owner: "bob", DisplayName: "ci", Kind: kind, Digest: w.digester.Secret(secret), Last4: secret.Last4()}
		for _, name := range organizations {
			c.Grants = append(c.Grants, authz.Grant{Entity: authz.Entity{Type: "organization", Name: name}, Permissions: []string{"repo.content.read"}})
		}
		return w.do(t, c).Token.ID, secret
	}
	approved, approvedSecret := token(authz.KindFineGrained, "acme")
	w.after(t, 10*time.Minute) // for which it waited
	w.do(t, inventory.Approve{Organization: "acme", Token: approved})
	_, waits := token(authz.KindFineGrained, "acme", "watch-inc")
	token(authz.KindFineGrained, "acme")
	revoked, revokedSecret := token(authz.KindFineGrained, "acme")
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: revoked})
	_, read := token(authz.KindRead)
	w.after(t, 40*time.Minute) // for half an hour of which two wait
	conn := w.overSocket(t)
	for _, c := range []struct {
		times  int
		path   string
		secret credential.Secret
		reason string
	}{
		{3, "/api/models/acme/m", waits, "approval_pending"},
		{2, "/api/models/watch-inc/m", waits, "observed"},
		{4, "/api/models/acme/m", approvedSecret, "approved"},
		{5, "/api/models/scoped-works/m", read, "exception"},
		{6, "/api/models/acme/m", revokedSecret, "token_revoked"},
		{7, "/no/such/route/at/all", approvedSecret, "route_unknown"},
	} {
		for range c.times {
			if got := checkWith(t, conn, c.path, c.secret).GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != c.reason {
				t.Errorf("%s: %s, want %s", c.path, got, c.reason)
			}
		}
	}
	w.holdsMetrics(t, w.scraped(t), map[string]span{
		`patrol_decisions_total{allowed="false",mode="enforce",policy="` + approval + `",reason="approval_pending"}`: {3, 3},
		`patrol_decisions_total{allowed="true",mode="observe",policy="` + approval + `",reason="observed"}`:          {2, 2},
		`patrol_decisions_total{allowed="true",mode="enforce",policy="` + approval + `",reason="approved"}`:          {4, 4},
		`patrol_decisions_total{allowed="true",mode="enforce",policy="` + scoped + `",reason="exception"}`:           {5, 5},
		`patrol_decisions_total{allowed="false",mode="enforce",policy="` + approval + `",reason="token_revoked"}`:    {6, 6},
		`patrol_decisions_total{allowed="false",mode="",policy="",reason="route_unknown"}`:                           {7, 7},
		`patrol_denials_total{organization="acme",policy="` + approval + `",reason="approval_pending"}`:              {3, 3},
		`patrol_denials_total{organization="acme",policy="` + approval + `",reason="token_revoked"}`:                 {6, 6},
		`patrol_denials_total{organization="",policy="",reason="route_unknown"}`:                                     {7, 7},
		`patrol_approval_pending_hits_total{organization="acme"}`:                                                    {3, 3},
		`patrol_approval_pending_hits_total{organization="watch-inc"}`:                                               {2, 2},
		`patrol_approvals_pending{organization="acme"}`:                                                              {2, 2},
		`patrol_approvals_pending{organization="watch-inc"}`:                                                         {1, 1},
		`patrol_approval_oldest_pending_seconds{organization="acme"}`:                                                {1800, 1860},
		`patrol_approval_decision_seconds_count`:                                                                     {1, 1},
		`patrol_approval_decision_seconds_sum`:                                                                       {600, 660},
		`patrol_inventory_tokens`:                                                                                    {5, 5},
		`patrol_governance{mode="enforce"}`:                                                                          {2, 2},
		`patrol_governance{mode="observe"}`:                                                                          {1, 1},
		`patrol_exceptions_used_total{exception="ci"}`:                                                               {5, 5},
		`patrol_safety_net_conflicts_total`:                                                                          {6, 6},
	})
}

// span is what a value may be: times pass while a test runs.
type span struct{ least, most float64 }

// holdsMetrics holds values against what is wanted, and that the counters of
// traffic have no series besides.
func (w *world) holdsMetrics(t *testing.T, got map[string]float64, want map[string]span) {
	t.Helper()
	for name, s := range want {
		if v, there := got[name]; !there || v < s.least || v > s.most {
			t.Errorf("%s is %v (there: %t), want %v to %v", name, v, there, s.least, s.most)
		}
	}
	for name, v := range got {
		for _, counted := range []string{"patrol_decisions_total", "patrol_denials_total", "patrol_approval_pending_hits_total", "patrol_approvals_pending", "patrol_exceptions_used_total", "patrol_governance"} {
			if _, wanted := want[name]; strings.HasPrefix(name, counted) && !wanted {
				t.Errorf("there is %s %v besides", name, v)
			}
		}
	}
}
