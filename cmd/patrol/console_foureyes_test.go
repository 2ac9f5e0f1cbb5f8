package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// browserOf is a browser in which somebody is logged in.
func (w *world) browserOf(t *testing.T, user string) *browser.Tab {
	t.Helper()
	tab := browser.Start(t)
	tab.Open("http://" + w.Config.Admin.Listen + "/login")
	browser.Evaluate[any](tab, "document.cookie = '"+w.sessionOf(t, user)["Cookie"]+"; path=/'; 0")
	return tab
}

// fourEyesWorld is an organization whose approvals need two people, with two
// administrators, and three tokens that wait; the riskiest, "far", is the newest.
func fourEyesWorld(t *testing.T) (*world, map[string]string) {
	t.Helper()
	w := startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		someProvider(c)
	})
	w.people(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "admin"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "rob", Role: "read"})
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: true}})
	ids := map[string]string{"first": w.issueFor(t, "first"), "second": w.issueFor(t, "second"), "far": w.issueTo(t, "rob", "far")}
	return w, ids
}

func (w *world) status(t *testing.T, id string) string {
	t.Helper()
	row, err := w.Store.Token(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return row.Authorization.Status
}

// TestAVoteIsNoApproval: under four eyes the first of two people is told that it
// was a vote, and is led to each request once, in the order that they chose.
func TestAVoteIsNoApproval(t *testing.T) {
	w, ids := fourEyesWorld(t)
	alice := w.browserOf(t, "alice")
	queue := "http://" + w.Config.Admin.Listen + "/organizations/acme/review"
	alice.Open(queue + "?sort=risk")
	alice.Click(".queue li a")
	for i, want := range []string{"far", "first", "second"} {
		if address := alice.Address(); !strings.Contains(address, ids[want]+"?") || !strings.Contains(address, "sort=risk") {
			t.Fatalf("%d: alice stands at %s, not at %s by risk", i, address, want)
		}
		barriers(t, alice, "a vote that is to be given")
		alice.Click("button[value=approve]")
		if text := alice.Text("main"); !strings.Contains(text, "Your vote is counted. One more person has to approve the same.") || strings.Contains(text, "in force") {
			t.Errorf("after the vote on %s:\n%s", want, text)
		}
		if got := w.status(t, ids[want]); got != "pending" {
			t.Errorf("%s is %s after one vote", want, got)
		}
	}
	// She has had a word on each: the queue, in which they wait.
	if address, text := alice.Address(), alice.Text("main"); !strings.HasSuffix(address, "/review?done=voted&sort=risk") || strings.Contains(text, "Nothing else waits") || strings.Count(text, "approved by you") != 2 {
		t.Errorf("at the end alice stands at %s:\n%s", address, text)
	}
	inBothThemes(t, alice, "review-voted")
	alice.Open(queue + "/" + ids["first"])
	if text := alice.Text("main"); !strings.Contains(text, "You have approved it: another person has to.") {
		t.Errorf("the page of what alice approved:\n%s", text)
	}
	inBothThemes(t, alice, "reviewone-voted")
}

// TestTheSecondPersonApprovesWhatTheFirstDid: the form offers it, also on another
// day; whoever chooses otherwise is told that it is not the same.
func TestTheSecondPersonApprovesWhatTheFirstDid(t *testing.T) {
	w, ids := fourEyesWorld(t)
	base := "http://" + w.Config.Admin.Listen
	vote := func(user, id string, more url.Values) (to, page string) {
		t.Helper()
		header := w.sessionOf(t, user)
		row, err := w.Store.Token(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"version": {"1"}, "request": {row.Authorization.Request.ID}, "decision": {"approve"}, "until": {"90"}, "grant": {"organization acme repo.write"}}
		for k, v := range more {
			form[k] = v
		}
		status, answer, body := ask(t, "POST", base+"/organizations/acme/review/"+id, form, header)
		if status != http.StatusSeeOther {
			return "", body
		}
		to = answer.Get("Location")
		_, _, page = ask(t, "GET", base+to, nil, header)
		return to, page
	}
	vote("alice", ids["first"], nil)
	w.after(t, 26*60*60*1e9) // until in 90 days is another day by now
	carol := w.browserOf(t, "carol")
	carol.Open(base + "/organizations/acme/review/" + ids["first"])
	if text := carol.Text("main"); !strings.Contains(text, "approved so far by alice until 2") {
		t.Errorf("the page does not say what alice approved:\n%s", text)
	}
	barriers(t, carol, "a second vote that is to be given")
	carol.Click("button[value=approve]")
	if text := carol.Text("main"); !strings.Contains(text, "Approved. It is in force.") {
		t.Errorf("after the second vote:\n%s", text)
	}
	if got := w.status(t, ids["first"]); got != authz.StateApproved {
		t.Errorf("it is %s after two votes for the same", got)
	}
	vote("alice", ids["second"], nil)
	if to, page := vote("carol", ids["second"], url.Values{"until": {"30"}}); !strings.Contains(page, "is not for the same as the other one") || strings.Contains(page, "in force") {
		t.Errorf("a vote for something else leads to %s:\n%s", to, page)
	}
	if got := w.status(t, ids["second"]); got != "pending" {
		t.Errorf("it is %s after two votes for different ends", got)
	}
	// What one's own vote is on is not decided by voting again.
	if _, page := vote("alice", ids["second"], url.Values{"until": {"30"}}); !strings.Contains(page, "Approved. It is in force.") {
		t.Errorf("alice agrees to what carol approved:\n%s", page)
	}
	// Nobody decides on a token of their own: the page says so, and the next that
	// opens is none of them.
	w.do(t, inventory.AddMember{Organization: "acme", User: "rob", Role: "admin"})
	if status, _, page := ask(t, "GET", base+"/organizations/acme/review/"+ids["far"], nil, w.sessionOf(t, "rob")); status != http.StatusOK || !strings.Contains(page, "Nobody decides on a token of their own here") || strings.Contains(page, `value="approve"`) {
		t.Errorf("the page of rob's own token, for rob: %d\n%s", status, page)
	}
	if _, page := vote("rob", ids["far"], nil); !strings.Contains(page, "Nobody decides on a token of their own here") {
		t.Errorf("rob votes on his own token:\n%s", page)
	}
	third := w.issueFor(t, "third")
	if to, _ := vote("rob", third, nil); !strings.HasSuffix(to, "/review?done=voted") {
		t.Errorf("after a vote rob, whose own token alone waits for a word of others, comes to %s", to)
	}
}

// TestVotesOnSeveralTokensAreNoApprovals.
func TestVotesOnSeveralTokensAreNoApprovals(t *testing.T) {
	w, ids := fourEyesWorld(t)
	queue := "http://" + w.Config.Admin.Listen + "/organizations/acme/review"
	several := func(user string) *browser.Tab {
		tab := w.browserOf(t, user)
		tab.Open(queue + "?sort=risk")
		tab.Tick("summary")
		tab.Click("details button")
		tab.Click("button[value=approve]")
		return tab
	}
	alice := several("alice")
	if text := alice.Text("main"); !strings.Contains(text, "Your votes are counted. One more person has to approve the same.") || !strings.Contains(text, "riskiest") && !strings.Contains(alice.Address(), "sort=risk") {
		t.Errorf("after alice's votes, at %s:\n%s", alice.Address(), text)
	}
	w.issueFor(t, "later") // asks for the same: carol's is the first vote on it
	carol := several("carol")
	text := carol.Text("main")
	if !strings.Contains(text, "What came of it") || strings.Count(text, ": approved") != 2 || strings.Count(text, "your vote is counted: one more person") != 1 {
		t.Errorf("after carol's votes:\n%s", text)
	}
	inBothThemes(t, carol, "groupresults")
	for _, name := range []string{"first", "second"} {
		if got := w.status(t, ids[name]); got != authz.StateApproved {
			t.Errorf("%s is %s", name, got)
		}
	}
}
