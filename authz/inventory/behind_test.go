package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

// robots is a lab where approvals need two people or one, with the accounts robot
// and droid, for which alice answers, and stray, for which nobody does. All of them
// review.
func robots(t *testing.T, two bool) *inventorytest.Lab {
	t.Helper()
	l := inventorytest.NewLab(t)
	l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: two}})
	for _, name := range []string{"robot", "droid", "stray"} {
		l.Must(operator, inventory.AddMember{Organization: "acme", User: name, Type: inventory.TypeServiceAccount, Role: "reviewer"})
	}
	for _, name := range []string{"robot", "droid"} {
		answering(l, name, "alice")
	}
	l.After(time.Minute)
	return l
}

func answering(l *inventorytest.Lab, account string, people ...string) {
	l.T.Helper()
	l.Must(operator, inventory.AddMember{Organization: "acme", User: account, Role: "reviewer", Responsible: &people})
}

func byToken(name string) inventory.Actor { return inventory.Actor{Kind: "token", Name: name} }

func approval(t *inventory.Token) inventory.Approve {
	return inventory.Approve{Organization: "acme", Token: t.ID, Version: t.Version}
}

func denial(t *inventory.Token) inventory.Deny {
	return inventory.Deny{Organization: "acme", Token: t.ID, Version: t.Version, Reason: "no"}
}

// TestAServiceAccountIsNoPerson where two are asked for: neither first nor second.
// Its denial counts.
func TestAServiceAccountIsNoPerson(t *testing.T) {
	for _, who := range []inventory.Actor{byToken("robot"), person("robot"), byToken("stray")} {
		t.Run(who.Kind+" "+who.Name, func(t *testing.T) {
			l := robots(t, true)
			token := l.Issue("bob", on("acme", "repo.write"))
			e := inventorytest.Refused[*inventory.Forbidden](l, who, approval(token))
			if want := "acme asks for two people on each approval, and " + who.Name + " is a service account, which is none: ask two who review for acme"; e.Problem != want {
				t.Errorf("refused with %q; want %q", e.Problem, want)
			}
			l.Must(person("alice"), approval(token))
			inventorytest.Refused[*inventory.Forbidden](l, who, approval(token))
			wantState(t, l, token, "none", "open")
			l.Must(person("rita"), approval(token))
			wantState(t, l, token, "approved", "decided")
			l.Must(who, denial(token))
			wantState(t, l, token, "denied", "decided")
		})
	}
}

func TestAVoteOfAServiceAccountDoesNotStand(t *testing.T) {
	l := robots(t, true)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("ann"), approval(token))
	l.Must(operator, inventory.AddMember{Organization: "acme", User: "ann", Type: inventory.TypeServiceAccount, Role: "admin", Whole: true})
	l.Must(person("rita"), approval(token))
	wantState(t, l, token, "none", "open")
	l.Must(person("alice"), approval(token))
	wantState(t, l, token, "approved", "decided")
}

func TestAnApprovalOfAServiceAccountCountsWhereOneIsEnough(t *testing.T) {
	l := robots(t, false)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(byToken("robot"), approval(token))
	wantState(t, l, token, "approved", "decided")
}

// TestWhoAsksDoesNotApprove is judged by the people behind those who ask and those
// who decide.
func TestWhoAsksDoesNotApprove(t *testing.T) {
	for _, c := range []struct {
		owner    string
		who      inventory.Actor
		two      bool
		approves bool
		denies   bool
	}{
		{"alice", byToken("robot"), false, false, true},
		{"alice", person("robot"), false, false, true},
		{"alice", byToken("robot"), true, false, true},
		{"droid", byToken("robot"), false, false, true},
		{"robot", byToken("robot"), false, false, false},
		{"robot", person("robot"), false, false, false},
		{"robot", byToken("stray"), false, true, true},
		{"alice", byToken("stray"), false, true, true},
		{"robot", person("alice"), true, false, false},
		{"robot", byToken("alice"), true, false, false},
		{"robot", person("alice"), false, true, true},
		{"robot", person("ann"), true, true, true},
	} {
		t.Run(fmt.Sprintf("%s decides on %s's, two people: %v", c.who, c.owner, c.two), func(t *testing.T) {
			l := robots(t, c.two)
			token := l.Issue(c.owner, on("acme", "repo.write"))
			if c.approves {
				l.Must(c.who, approval(token))
			} else {
				inventorytest.Refused[*inventory.Forbidden](l, c.who, approval(token))
			}
			if c.denies {
				l.Must(c.who, denial(token))
			} else {
				inventorytest.Refused[*inventory.Forbidden](l, c.who, denial(token))
			}
			l.Must(operator, inventory.SuspendToken{Organization: "acme", Token: token.ID})
			resume := inventory.ResumeToken{Organization: "acme", Token: token.ID}
			if c.approves {
				l.Must(c.who, resume)
			} else {
				inventorytest.Refused[*inventory.Forbidden](l, c.who, resume)
			}
		})
	}
}

// TestWhoAnsweredForAnAccountIsNoOtherPerson on what it asked for then, nor on what
// it asks for in the month after: whoever takes them off.
func TestWhoAnsweredForAnAccountIsNoOtherPerson(t *testing.T) {
	const month = 30 * day
	for name, c := range map[string]struct {
		do   func(l *inventorytest.Lab, ask func())
		kept bool
	}{
		"taken off while it waits": {func(l *inventorytest.Lab, ask func()) {
			ask()
			answering(l, "robot")
		}, true},
		"long ago, while it waited": {func(l *inventorytest.Lab, ask func()) {
			ask()
			answering(l, "robot", "bob")
			l.After(2 * month)
		}, true},
		"taken off before it asks": {func(l *inventorytest.Lab, ask func()) {
			answering(l, "robot")
			l.After(month - time.Second)
			ask()
		}, true},
		"named while it waits, and taken off": {func(l *inventorytest.Lab, ask func()) {
			answering(l, "robot")
			l.After(month)
			ask()
			answering(l, "robot", "alice")
			answering(l, "robot")
		}, true},
		"taken off, named and taken off": {func(l *inventorytest.Lab, ask func()) {
			answering(l, "robot")
			l.After(month)
			answering(l, "robot", "alice")
			answering(l, "robot", "bob")
			ask()
		}, true},
		"a month before it asks": {func(l *inventorytest.Lab, ask func()) {
			answering(l, "robot")
			l.After(month)
			ask()
		}, false},
		"has left and comes back": {func(l *inventorytest.Lab, ask func()) {
			ask()
			l.Must(operator, inventory.RemoveMember{Organization: "acme", User: "alice"})
			answering(l, "robot")
			l.Must(operator, inventory.AddMember{Organization: "acme", User: "alice", Role: "admin"})
		}, true},
		"has left, and administers by the login provider": {func(l *inventorytest.Lab, ask func()) {
			ask()
			l.Must(operator, inventory.RemoveMember{Organization: "acme", User: "alice"})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := robots(t, true)
			var token *inventory.Token
			c.do(l, func() { token = l.Issue("robot", on("acme", "repo.write")) })
			if !c.kept {
				l.Must(person("alice"), approval(token))
				l.Must(person("ann"), approval(token))
				wantState(t, l, token, "approved", "decided")
				return
			}
			e := inventorytest.Refused[*inventory.Forbidden](l, person("alice"), approval(token))
			if !strings.Contains(e.Problem, "nor on one of robot, for which alice answers, or did") {
				t.Errorf("refused with %q", e.Problem)
			}
			l.Must(person("ann"), approval(token))
			l.Must(person("rita"), approval(token))
			wantState(t, l, token, "approved", "decided")
		})
	}
}

// TestAVoteEndsWhereItsGiverComesToAnswer for the account, also for a moment.
func TestAVoteEndsWhereItsGiverComesToAnswer(t *testing.T) {
	l := robots(t, true)
	token := l.Issue("robot", on("acme", "repo.write"))
	l.Must(person("ann"), approval(token))
	answering(l, "robot", "ann")
	answering(l, "robot", "alice")
	l.Must(person("rita"), approval(token))
	wantState(t, l, token, "none", "open")
}

func TestWhoDoesNotCountIsNotAssigned(t *testing.T) {
	l := robots(t, true)
	token := l.Issue("droid", on("acme", "repo.write"))
	for _, name := range []string{"alice", "robot", "stray"} {
		e := inventorytest.Refused[*inventory.Invalid](l, person("ann"), inventory.AssignRequest{Organization: "acme", Token: token.ID, Assignee: name})
		if want := name + " does not count as one of the two people whom acme asks for"; e.Problem != want {
			t.Errorf("%q; want %q", e.Problem, want)
		}
	}
	l.Must(person("ann"), inventory.AssignRequest{Organization: "acme", Token: token.ID, Assignee: "rita"})
}

// TestWhatADirectoryCallsAnAccountMakesNoPersonOfIt while somebody answers for it.
func TestWhatADirectoryCallsAnAccountMakesNoPersonOfIt(t *testing.T) {
	called := func(l *inventorytest.Lab, name, kind string) {
		l.T.Helper()
		l.Must(operator, inventory.AddMember{Organization: "acme", User: name, Type: kind, Whole: true})
	}
	t.Run("it and who answers for it are not two", func(t *testing.T) {
		l := robots(t, true)
		token := l.Issue("bob", on("acme", "repo.write"))
		l.Must(person("alice"), approval(token))
		called(l, "robot", inventory.TypePerson)
		l.Must(byToken("robot"), approval(token))
		wantState(t, l, token, "none", "open")
		l.Must(person("rita"), approval(token))
		wantState(t, l, token, "approved", "decided")
	})
	t.Run("who answers for it decides nothing of it", func(t *testing.T) {
		l := robots(t, true)
		token := l.Issue("robot", on("acme", "repo.write"))
		called(l, "robot", inventory.TypePerson)
		inventorytest.Refused[*inventory.Forbidden](l, person("alice"), approval(token))
	})
}

// TestWhoAnswersElsewhereIsBehindAnAccountToo: its token is the same one everywhere.
func TestWhoAnswersElsewhereIsBehindAnAccountToo(t *testing.T) {
	for _, two := range []bool{true, false} {
		l := robots(t, two)
		l.Must(operator, inventory.CreateOrganization{Name: "lab"})
		l.Must(operator, inventory.AddMember{Organization: "lab", User: "ann", Role: "read"})
		l.Must(operator, inventory.AddMember{Organization: "lab", User: "stray", Role: "read", Responsible: &[]string{"ann"}})
		token := l.Issue("ann", on("acme", "repo.write"))
		inventorytest.Refused[*inventory.Forbidden](l, byToken("stray"), approval(token))
	}
}
