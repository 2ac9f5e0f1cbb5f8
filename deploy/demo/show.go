package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// demo drives the running parts.
type demo struct {
	edge   string
	patrol *patrolProcess
	api    *client.Client
	tokens map[string]*admin.IssuedToken // by the name of the shell's variable
}

// organizations are one a policy.
var organizations = []struct{ name, policy string }{
	{"open-lab", "allow_user_access_tokens"},
	{"scoped-works", "only_fine_grained_tokens"},
	{"quiet-corp", "do_not_require_administrator_approval"},
	{"acme", "require_administrator_approval"},
}

// ask is a request and the answer it should have.
type ask struct {
	method, path, token string
	status              int
	reason              string // X-Error-Code; "" on an allow
}

func table() []ask {
	var asks []ask
	for _, o := range organizations {
		path := "/api/models/" + o.name + "/model"
		unscoped, fine := 200, 200
		unscopedReason, fineReason := "", ""
		if o.policy != "allow_user_access_tokens" {
			unscoped, unscopedReason = 403, "token_type_not_allowed"
		}
		if o.policy == "require_administrator_approval" {
			fine, fineReason = 403, "approval_pending"
		}
		asks = append(asks,
			ask{"GET", path, "BOB_READ", unscoped, unscopedReason},
			ask{"GET", path, "BOB_WRITE", unscoped, unscopedReason},
			ask{"GET", path, "BOB_FINE", fine, fineReason},
			ask{"GET", path, "ALICE_FINE", 200, ""}, // admin-created
		)
	}
	return append(asks,
		ask{"POST", "/api/models/open-lab/model/commit/main", "BOB_READ", 403, "insufficient_permission"},
		ask{"GET", "/api/models/open-lab/model", "MALLORY_READ", 403, "organization_forbidden"},
		ask{"GET", "/api/models/nowhere/model", "BOB_READ", 403, "organization_forbidden"},
		ask{"GET", "/api/models/open-lab/model", "UNKNOWN", 401, "token_unknown"},
		ask{"GET", "/api/models/open-lab/model", "", 401, "credential_missing"},
		ask{"GET", "/somewhere/else/entirely/and/on", "BOB_READ", 403, "route_unknown"},
	)
}

func (d *demo) show(ctx context.Context) error {
	if err := d.setUp(ctx); err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	fmt.Printf("patrol, and Envoy in front of a small hub at %s\n\n", d.edge)
	if err := d.asks(ctx, table()); err != nil {
		return err
	}
	fine := d.tokens["BOB_FINE"]
	fmt.Printf("\nAn administrator approves the pending token: patrol approval approve acme %s --version %d\n\n", fine.ID, fine.Version)
	err := d.api.Do(ctx, "POST", "/api/organizations/acme/settings/tokens/"+fine.ID+"/approve", admin.Approval{Version: fine.Version}, nil)
	if err != nil {
		return err
	}
	if err := d.asks(ctx, []ask{{"GET", "/api/models/acme/model", "BOB_FINE", 200, ""}}); err != nil {
		return err
	}
	fmt.Printf("\nA rule is changed while requests flow: frozen := %s in %s\n\n", openLab, ruleFile)
	write := ask{"POST", "/api/models/open-lab/model/commit/main", "BOB_WRITE", 200, ""}
	if err := d.asks(ctx, []ask{write}); err != nil {
		return err
	}
	if err := writeRule(openLab); err != nil {
		return err
	}
	started := time.Now()
	write.status, write.reason = 403, "policy_denied"
	for {
		status, reason, err := d.send(ctx, write)
		if err != nil {
			return err
		}
		if status == write.status && reason == write.reason {
			break
		}
		if time.Since(started) > 10*time.Second {
			return fmt.Errorf("the changed rule did not take effect: %d %s", status, reason)
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(started)
	if err := d.asks(ctx, []ask{write}); err != nil {
		return err
	}
	fmt.Printf("\nIt took effect %d ms after the file was written.\n", took.Milliseconds())
	return nil
}

func (d *demo) setUp(ctx context.Context) (err error) {
	if d.api, err = client.New("unix:" + filepath.Join(dir, "data", "admin.sock")); err != nil {
		return err
	}
	var grants []authz.Grant
	for _, o := range organizations {
		if err := d.api.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: o.name, TokenPolicy: o.policy}, &inventory.OrganizationRow{}); err != nil {
			return err
		}
		for user, role := range map[string]string{"alice": "admin", "bob": "write"} {
			if err := d.api.Do(ctx, "PUT", "/api/organizations/"+o.name+"/members/"+user, admin.NewMember{Role: role}, nil); err != nil {
				return err
			}
		}
		grants = append(grants, authz.Grant{Entity: authz.Entity{Type: "organization", Name: o.name}, Permissions: []string{"repo.content.read", "repo.write"}})
	}
	if err := d.api.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: "elsewhere"}, nil); err != nil {
		return err
	}
	if err := d.api.Do(ctx, "PUT", "/api/organizations/elsewhere/members/mallory", admin.NewMember{Role: "admin"}, nil); err != nil {
		return err
	}
	d.tokens = map[string]*admin.IssuedToken{}
	var env strings.Builder
	for name, t := range map[string]admin.NewToken{
		"BOB_READ":     {Owner: "bob", DisplayName: "bob's laptop", Kind: "read"},
		"BOB_WRITE":    {Owner: "bob", DisplayName: "bob's builds", Kind: "write"},
		"BOB_FINE":     {Owner: "bob", DisplayName: "nightly training", Kind: "fine-grained", Grants: grants, Purpose: "uploads checkpoints each night"},
		"ALICE_FINE":   {Owner: "alice", DisplayName: "alice's release bot", Kind: "fine-grained", Grants: grants},
		"MALLORY_READ": {Owner: "mallory", DisplayName: "mallory's token", Kind: "read"},
	} {
		var issued admin.IssuedToken
		if err := d.api.Do(ctx, "POST", "/api/tokens", t, &issued); err != nil {
			return err
		}
		d.tokens[name] = &issued
		fmt.Fprintf(&env, "export %s=%s\n", name, issued.Secret)
	}
	unknown := "ptl_" + strings.Repeat("0", 42)
	d.tokens["UNKNOWN"] = &admin.IssuedToken{Secret: unknown}
	fmt.Fprintf(&env, "export UNKNOWN=%s\n", unknown)
	return os.WriteFile(filepath.Join(dir, "tokens.env"), []byte(env.String()), 0o600)
}

// asks sends requests, prints a table, and fails where an answer is not the
// expected one.
func (d *demo) asks(ctx context.Context, list []ask) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ASKED\tANSWERED\tREASON")
	var wrong error
	for _, a := range list {
		status, reason, err := d.send(ctx, a)
		if err != nil {
			return err
		}
		note := ""
		if status != a.status || reason != a.reason {
			note = fmt.Sprintf("  expected %d %s", a.status, a.reason)
			wrong = fmt.Errorf("an answer was not the expected one")
		}
		if reason == "" {
			reason = "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%s%s\n", a.curl("$EDGE"), status, reason, note)
	}
	w.Flush()
	return wrong
}

func (a ask) curl(edge string) string {
	line := "curl "
	if a.method != "GET" {
		line += "-X " + a.method + " "
	}
	if a.token != "" {
		line += `-H "Authorization: Bearer $` + a.token + `" `
	}
	return line + edge + a.path
}

func (d *demo) send(ctx context.Context, a ask) (status int, reason string, err error) {
	req, err := http.NewRequestWithContext(ctx, a.method, d.edge+a.path, nil)
	if err != nil {
		return 0, "", err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.tokens[a.token].Secret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("X-Error-Code"), nil
}

func get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// next prints what to try in another terminal.
func (d *demo) next() {
	fmt.Printf(`
It stays up. In another terminal, in this folder, try:

  source %[1]s; export EDGE=%[2]s PATROL_DATA_DIR=%[3]s
  curl -i -H "Authorization: Bearer $BOB_WRITE" $EDGE/api/models/acme/model
  bin/patrol token list acme
  bin/patrol login                               # the console, in a browser
  bin/patrol token suspend acme %[4]s --comment "leaked?"
  bin/patrol check GET /api/models/acme/model --token-stdin <<< $BOB_FINE
  bin/patrol org policy acme only_fine_grained_tokens --enforce-at 30d
  bin/patrol policy list
  $EDITOR %[5]s
  bin/patrol bundle status
  curl -s http://%[6]s/metrics | grep ^patrol_denials

Ctrl-C ends everything.
`, filepath.Join(dir, "tokens.env"), d.edge, filepath.Join(dir, "data"), d.tokens["BOB_FINE"].ID, ruleFile, d.patrol.diagnostics)
}
