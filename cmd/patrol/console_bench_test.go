package main

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	uses "github.com/patrol-authz/patrol/authz/usage"
)

// BenchmarkMine serves owners' pages: the tokens of one of 500 owners of 50,000, a
// page of which is judged, and one of them.
func BenchmarkMine(b *testing.B) {
	w := startApp(b, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		someProvider(c)
	})
	w.fill(b, 50_000, 500)
	rows, _, err := w.Store.Tokens(b.Context(), "", inventory.TokenFilter{Owner: "user-7"}, inventory.Page{Limit: 1})
	if err != nil || len(rows) == 0 {
		b.Fatal(rows, err)
	}
	header, site := w.sessionOf(b, "user-7"), "http://"+w.Config.Admin.Listen
	for _, c := range []struct{ name, path, says string }{
		{"mine", "/me", "token-"}, {"one", "/tokens/" + rows[0].ID + "?organization=acme", "What happened"},
	} {
		b.Run(c.name, func(b *testing.B) { serve(b, site+c.path, c.says, header) })
	}
}

// serve asks for a page as often as it takes.
func serve(b *testing.B, address, says string, header map[string]string) {
	var spans []time.Duration
	before := worked(b)
	for b.Loop() {
		began := time.Now()
		status, _, body := ask(b, "GET", address, nil, header)
		spans = append(spans, time.Since(began))
		if status != http.StatusOK || !strings.Contains(body, says) {
			b.Fatalf("%s answers %d without %q, with %d bytes", address, status, says, len(body))
		}
	}
	b.ReportMetric(float64((worked(b)-before).Microseconds())/1000/float64(len(spans)), "cpu-ms/page")
	slices.Sort(spans)
	b.ReportMetric(float64(spans[len(spans)-1].Microseconds())/1000, "ms/worst")
	b.ReportMetric(float64(spans[len(spans)/2].Microseconds())/1000, "ms/median")
}

// BenchmarkListing serves pages of an organization that 50,000 tokens reach, of
// 500 owners: one in ten waits, half were used, one in three has a finding.
func BenchmarkListing(b *testing.B) {
	w := startApp(b, func(c *Config) { c.Admin.Listen = "127.0.0.1:0" })
	w.fill(b, 50_000, 500)
	const base = "/organizations/acme"
	header := map[string]string{"Cookie": w.session(b)}
	site := "http://" + w.Config.Admin.Listen
	for _, c := range []struct{ name, path, says string }{
		{"first", "/tokens", "token-49999"},
		{"pending", "/tokens?status=pending", "pending"},
		{"approved", "/tokens?status=approved", "No token"},
		{"kind", "/tokens?kind=write", "token-"},
		{"name", "/tokens?q=token-00012", "token-00012"},
		{"owner", "/tokens?owner=user-7", "user-7"},
		{"finding", "/tokens?finding=unused", "token-"},
		{"severity", "/tokens?severity=high", "No expiry"},
		{"by-name", "/tokens?sort=name", "token-00000"},
		{"by-owner", "/tokens?sort=-owner", "user-99"},
		{"by-last-use", "/tokens?sort=-last_used", "token-"},
		{"by-findings", "/tokens?sort=-severity", "Unused"},
		{"pending-by-name", "/tokens?status=pending&sort=-name", "pending"},
		{"last", "/tokens?cursor=" + w.late(b), "token-0"},
		{"review", "/review", "token-"},
		{"overview", "", "Waiting"},
	} {
		b.Run(c.name, func(b *testing.B) { serve(b, site+base+c.path, c.says, header) })
	}
}

// fill imports tokens of an organization whose administrators approve them.
func (w *world) fill(b *testing.B, tokens, owners int) {
	b.Helper()
	w.Hygiene.Close() // only the pages are measured
	w.do(b, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	for i := range owners {
		w.do(b, inventory.AddMember{Organization: "acme", User: inventorytest.Owner(i), Role: "write"})
	}
	grants, parts := []authz.Grant{inventorytest.On("acme", "repo.content.read", "repo.write")}, 0
	inventorytest.Estate(tokens, owners, func(int) []authz.Grant { return grants }, func(c inventory.ImportTokens) {
		w.do(b, c)
		if parts++; parts == 2 { // these wait; those that come wait for their first use
			w.do(b, inventory.SetPolicy{Organization: "acme", Existing: &inventory.ExistingTokens{Mode: inventory.ExistingAsk}})
		}
	})
	w.history(b)
}

// history gives half of the tokens a use, and every third a finding.
func (w *world) history(b *testing.B) {
	b.Helper()
	o, err := w.Store.Organization(b.Context(), "acme")
	if err != nil {
		b.Fatal(err)
	}
	var batch uses.Batch
	var results []hygiene.Result
	for after := ""; ; {
		list, err := w.Store.Reached(b.Context(), o.ID, "", after, w.Clock(), 5000)
		if err != nil {
			b.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for i, r := range list {
			if i%2 == 0 {
				at := w.Clock().Add(-time.Duration(i) * time.Minute)
				batch.Uses = append(batch.Uses, uses.Use{Token: r.Token, Organization: o.ID, Allowed: at})
			}
			if i%3 == 0 {
				f := hygiene.Finding{Name: "unused", Severity: hygiene.SeverityLow, Title: "Unused", Message: "It was never used", Do: "Revoke it"}
				if i%9 == 0 {
					f.Name, f.Severity, f.Title = "no_expiry", hygiene.SeverityHigh, "No expiry"
				}
				results = append(results, hygiene.Result{Pair: hygiene.Pair{Organization: o.ID, Token: r.Token}, Findings: []hygiene.Finding{f}})
			}
		}
		after = list[len(list)-1].Token
	}
	if _, err := w.Store.WriteUsage(b.Context(), &batch); err != nil {
		b.Fatal(err)
	}
	if err := w.Store.SaveFindings(b.Context(), results); err != nil {
		b.Fatal(err)
	}
}

// late is the cursor of the last page.
func (w *world) late(b *testing.B) string {
	b.Helper()
	cursor := ""
	for {
		_, next, err := w.Store.Tokens(b.Context(), "acme", inventory.TokenFilter{}, inventory.Page{Limit: 200, Cursor: cursor})
		if err != nil {
			b.Fatal(err)
		}
		if next == "" {
			return cursor
		}
		cursor = next
	}
}

// worked is how long the process has used a processor, which says more than the
// time that went by where other work goes on beside. What asks for the pages is
// in it.
func worked(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
