package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

// listed reads the names of a listing's page, and its text.
func (w *world) listing(t *testing.T, query string) (names []string, page string) {
	t.Helper()
	status, _, page := ask(t, "GET", "http://"+w.Config.Admin.Listen+"/organizations/acme/tokens"+query, nil, map[string]string{"Cookie": w.session(t)})
	if status != http.StatusOK {
		t.Fatalf("%s answers %d", query, status)
	}
	for _, m := range regexp.MustCompile(`name="token" value="[^"]+" aria-label="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		names = append(names, m[1])
	}
	return names, page
}

// TestTheFilterOffersWhatTheRulesLookFor, with how many tokens have it, also
// where none has, the gravest first.
func TestTheFilterOffersWhatTheRulesLookFor(t *testing.T) {
	w, ids := consoleWorld(t)
	w.used(t, ids["dashboards"]) // two findings: no_expiry high, grants_never_used medium
	_, page := w.listing(t, "")
	offers := regexp.MustCompile(`(?s)<select name="finding">.*?</select>`).FindString(page)
	for _, k := range w.Bundles.Ruleset().Findings {
		want := k.Title + " (0)"
		if k.Name == "no_expiry" || k.Name == "grants_never_used" {
			want = k.Title + " (1)"
		}
		if !strings.Contains(offers, `<option value="`+k.Name+`">`+want+"</option>") {
			t.Errorf("%s is not offered as %q:\n%s", k.Name, want, offers)
		}
	}
	if n := strings.Count(offers, "<option"); n != 1+len(w.Bundles.Ruleset().Findings) || n < 13 {
		t.Errorf("%d choices:\n%s", n, offers)
	}
	if strings.Index(offers, "seen_in_query") > strings.Index(offers, "no_expiry") || strings.Index(offers, "no_expiry") > strings.Index(offers, `"unused"`) {
		t.Errorf("the gravest do not come first:\n%s", offers)
	}
	for query, want := range map[string][]string{
		"?severity=high": {"dashboards"}, "?severity=low": {"dashboards"}, "?finding=grants_never_used&severity=medium": {"dashboards"},
		"?finding=grants_never_used&severity=high": nil, "?finding=unused": nil,
	} {
		names, page := w.listing(t, query)
		if !slices.Equal(names, want) {
			t.Errorf("%s lists %q, want %q", query, names, want)
		}
		if want == nil && !strings.Contains(page, "Clear the filter") {
			t.Errorf("%s: the empty page gives no advice", query)
		}
	}
	if _, page := w.listing(t, "?severity=high"); !strings.Contains(page, `<option value="high" selected>`) {
		t.Error("the chosen severity is not shown")
	}
	if _, page := w.listing(t, "?finding=once_looked_for"); !strings.Contains(page, `<option value="once_looked_for" selected>once looked for (0)</option>`) {
		t.Error("a finding of old is not shown as chosen")
	}
}

// TestTheListingBeginsWithTheNewest by when tokens were made, whenever they came
// here, and says so in the column's head.
func TestTheListingBeginsWithTheNewest(t *testing.T) {
	w, _ := consoleWorld(t)
	import1 := func(name string, i, days int) {
		w.do(t, inventory.ImportTokens{Tokens: []inventory.ImportToken{{
			Digest: inventorytest.Digest(i), Owner: "rob", DisplayName: name, Kind: authz.KindRead, CreatedAt: w.Clock().AddDate(0, 0, -days),
		}}})
	}
	import1("of a year", 1, 365)
	import1("of a week", 2, 7)
	import1("of a month", 3, 30)
	names, page := w.listing(t, "")
	if want := []string{"of a week", "of a month", "of a year"}; len(names) != 7 || !slices.Equal(names[4:], want) {
		t.Errorf("the listing is %q, want %q at its end", names, want)
	}
	if !regexp.MustCompile(`aria-sort="descending"><a href="[^"]*sort=created[^"]*">Created`).MatchString(page) {
		t.Errorf("the head does not say how it is sorted:\n%s", page)
	}
	if names, _ := w.listing(t, "?sort=created"); names[0] != "of a year" {
		t.Errorf("the other way round it is %q", names)
	}
}
