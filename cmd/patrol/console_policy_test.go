package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/test/browser"
)

// policyWorld is the console's world, with acme open and tokens of each kind.
func policyWorld(t *testing.T) *world {
	t.Helper()
	w, _ := consoleWorld(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens"})
	for i, name := range []string{"deploy", "laptop"} {
		w.do(t, inventory.IssueToken{Owner: "bob", DisplayName: name, Kind: authz.KindWrite, Digest: inventorytest.Digest(7000 + i), Last4: "x0y1"})
	}
	return w
}

func (w *world) organization(t *testing.T) *inventory.OrganizationRow {
	t.Helper()
	o, err := w.Store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAPolicyIsPreviewedBeforeItIsSaved(t *testing.T) {
	w := policyWorld(t)
	tab := browser.Start(t)
	base := "http://" + w.Config.Admin.Listen
	tab.Open(w.loginLink(t))
	tab.Click("main button")
	tab.Open(base + "/organizations/acme/policy")
	if text := tab.Text("main"); strings.Contains(text, "Save") {
		t.Errorf("what was not previewed can be saved:\n%s", text)
	}
	browser.Evaluate[any](tab, `document.querySelector("#p-only_fine_grained_tokens").click()`)
	tab.Click("button[name=preview]")
	text := tab.Text("main")
	for _, want := range []string{"2 tokens of 1 owner would be refused at once", "deploy", "laptop", "token type not allowed", "No usage was ever recorded", "Save"} {
		if !strings.Contains(text, want) {
			t.Errorf("the preview does not say %q:\n%s", want, text)
		}
	}
	barriers(t, tab, "policy preview light")
	tab.Picture(pictures, "policy-preview-light")
	tab.Theme(true)
	barriers(t, tab, "policy preview dark")
	tab.Picture(pictures, "policy-preview-dark")
	tab.Theme(false)
	if o := w.organization(t); o.TokenPolicy != "allow_user_access_tokens" {
		t.Fatalf("the preview saved %+v", o)
	}
	// Observing breaks nobody.
	tab.Click(`.note.bad a`)
	if text := tab.Text("main"); !strings.Contains(text, "No token would be refused that is allowed now") || !strings.Contains(text, "waived") {
		t.Errorf("observe:\n%s", text)
	}
	// What is saved is what was previewed: another choice is shown first.
	browser.Evaluate[any](tab, `document.querySelector("#p-require_administrator_approval").click()`)
	tab.Click("form.policy > p:last-child button")
	if text, address := tab.Text("main"), tab.Address(); !strings.Contains(address, "token_policy=require_administrator_approval") || !strings.Contains(text, "have to be asked for") {
		t.Errorf("another choice was not previewed, at %s:\n%s", address, text)
	}
	if o := w.organization(t); o.TokenPolicy != "allow_user_access_tokens" {
		t.Fatalf("it saved what nobody has seen: %+v", o)
	}
	tab.Click("form.policy > p:last-child button")
	if o := w.organization(t); o.TokenPolicy != "require_administrator_approval" || o.Enforcement != authz.Observe {
		t.Errorf("saved is %+v", o)
	}
	tab.Phone()
	tab.Open(base + "/organizations/acme/policy?preview=1&token_policy=only_fine_grained_tokens&when=now&enforcement=enforce")
	if browser.Evaluate[bool](tab, "document.documentElement.scrollWidth > document.documentElement.clientWidth") {
		t.Error("the preview is wider than a phone")
	}
	tab.Picture(pictures, "policy-preview-phone")
}

// TestPolicyForms goes without a browser: no script runs.
func TestPolicyForms(t *testing.T) {
	w := policyWorld(t)
	base := "http://" + w.Config.Admin.Listen + "/organizations/acme/policy"
	header := map[string]string{"Cookie": w.session(t)}
	tomorrow := time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)
	form := func(pairs ...string) url.Values {
		v := url.Values{"token_policy": {"require_administrator_approval"}, "when": {"now"}, "enforcement": {"enforce"}, "preview": {"1"}}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	for _, c := range []struct {
		name   string
		form   url.Values
		status int
		says   []string
	}{
		{"ask for all now", form("existing", "ask"), 200, []string{"will be asked for with the change", `name="seen"`}},
		{"approve what was used", form("existing", "approve_used_within", "days", "30", "until", tomorrow), 200, []string{"would be refused"}},
		{"a day that is none", form("when", "date", "date", "soon"), 422, []string{"Write the day as"}},
		{"days that are none", form("existing", "approve_used_within", "days", "many", "until", tomorrow), 422, []string{"Write how many days"}},
		{"existing tokens under a policy that asks for nothing", form("token_policy", "only_fine_grained_tokens", "existing", "ask"), 422, []string{"Belong to a policy that asks for an approval"}},
		{"a policy that is none", form("token_policy", "nonsense"), 422, []string{"is no token policy"}},
		{"no date chosen", form("when", "whenever"), 422, []string{"Choose when"}},
		{"on a date", form("when", "date", "date", tomorrow), 200, []string{"would be refused from " + tomorrow}},
		{"what is refused already", form("outcome", "refused"), 200, []string{"Whom it would break"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, body := ask(t, "GET", base+"?"+c.form.Encode(), nil, header)
			for _, want := range c.says {
				if !strings.Contains(body, want) {
					t.Errorf("it does not say %q:\n%s", want, body)
				}
			}
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
		})
	}
	// Saving what was not seen shows it first.
	status, h, _ := ask(t, "POST", base, form("existing", "ask"), header)
	if to := h.Get("Location"); status != http.StatusSeeOther || !strings.Contains(to, "preview=1") || !strings.Contains(to, "existing=ask") {
		t.Errorf("a change that nobody has seen: %d to %q", status, to)
	}
	if o := w.organization(t); o.TokenPolicy != "allow_user_access_tokens" {
		t.Fatalf("it was saved: %+v", o)
	}
	seen, _ := url.ParseQuery(h.Get("Location")[strings.Index(h.Get("Location"), "?")+1:])
	post := form("existing", "ask", "seen", seen.Encode(), "version", strconv.FormatInt(w.organization(t).Version, 10))
	if status, h, body := ask(t, "POST", base, post, header); status != http.StatusSeeOther || !strings.Contains(h.Get("Location"), "done=policy") {
		t.Errorf("what was seen: %d %s", status, body)
	}
	if o := w.organization(t); o.TokenPolicy != "require_administrator_approval" {
		t.Errorf("it was not saved: %+v", o)
	}
}

func TestAManagedPolicyCanBeLookedAt(t *testing.T) {
	w, _ := consoleWorld(t)
	w.do(t, inventory.CreateOrganization{Name: "managed", ManagedBy: "the bundle", TokenPolicy: "only_fine_grained_tokens"})
	header := map[string]string{"Cookie": w.session(t)}
	base := "http://" + w.Config.Admin.Listen + "/organizations/managed/policy"
	form := url.Values{"token_policy": {"allow_user_access_tokens"}, "when": {"now"}, "enforcement": {"enforce"}, "preview": {"1"}}
	status, _, body := ask(t, "GET", base+"?"+form.Encode(), nil, header)
	if status != 200 || !strings.Contains(body, "managed by the bundle") || !strings.Contains(body, "Whom it would break") || strings.Contains(body, ">Save<") {
		t.Errorf("%d:\n%s", status, body)
	}
	if status, _, body := ask(t, "POST", base, form, header); status != http.StatusConflict || !strings.Contains(body, "managed by the bundle") {
		t.Errorf("a change: %d:\n%s", status, body)
	}
}
