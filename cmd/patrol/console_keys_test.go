package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/test/browser"
)

// focused is what has the focus, in words.
func focused(tab *browser.Tab) string {
	return browser.Evaluate[string](tab, `(e => (e.value || e.textContent || e.name || e.tagName).trim())(document.activeElement)`)
}

// tabTo presses Tab until something has the focus; each step must be seen.
func tabTo(t *testing.T, tab *browser.Tab, want string) {
	t.Helper()
	var passed []string
	for range 60 {
		tab.Press(kb.Tab)
		at := focused(tab)
		passed = append(passed, at)
		if browser.Evaluate[string](tab, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			t.Errorf("it is not seen that the focus is on %q", at)
		}
		if strings.HasPrefix(at, want) {
			return
		}
	}
	t.Fatalf("Tab never comes to %q, but to %q", want, passed)
}

// TestAReviewByKeyboardAlone logs in, opens the queue, approves one token and
// denies the next, with no mouse.
func TestAReviewByKeyboardAlone(t *testing.T) {
	w, ids := consoleWorld(t)
	tab := browser.Start(t)
	base := "http://" + w.Config.Admin.Listen
	tab.Open(w.loginLink(t))
	tab.Until(`document.activeElement.matches("button")`)
	tab.PressTo(kb.Enter)
	tab.Open(base + "/organizations/acme")
	tab.Press(kb.Tab)
	if at := focused(tab); at != "Skip to the content" {
		t.Errorf("the first Tab comes to %q", at)
	}
	tab.Press("g")
	tab.PressTo("r")
	tab.Press("j")
	if at := focused(tab); !strings.HasPrefix(at, "nightly builds") {
		t.Fatalf("j comes to %q", at)
	}
	tab.PressTo(kb.Enter)
	if !strings.HasSuffix(tab.Address(), ids["nightly builds"]) {
		t.Fatalf("Enter opened %s", tab.Address())
	}
	tab.Press("a")
	if at := focused(tab); at != "approve" {
		t.Fatalf("a comes to %q", at)
	}
	tab.PressTo(kb.Enter)
	if !strings.HasSuffix(tab.Address(), ids["release job"]+"?done=approved") {
		t.Fatalf("the next is not open, but %s", tab.Address())
	}
	// With Tab alone, past the keys: the reason, and the button.
	tabTo(t, tab, "approve")
	tab.Press(kb.Tab)
	tab.Press("Which job is it? a d g t")
	tabTo(t, tab, "deny")
	tab.PressTo(kb.Enter)
	for name, want := range map[string]string{"nightly builds": authz.StateApproved, "release job": authz.StateDenied} {
		row, err := w.Store.Token(t.Context(), "acme", ids[name])
		if err != nil || row.Authorization.Status != want {
			t.Errorf("%s is %+v, %v; want %s", name, row.Authorization, err, want)
		}
	}
	// The keys are told, and go away again.
	tab.Press("?")
	if text := tab.Text("dialog"); !strings.Contains(text, "a: approve") {
		t.Errorf("the keys:\n%s", text)
	}
	barriers(t, tab, "the keys")
	tab.Press(kb.Escape)
	if browser.Evaluate[bool](tab, `document.querySelector("dialog").open`) {
		t.Error("Escape does not close the keys")
	}
}
