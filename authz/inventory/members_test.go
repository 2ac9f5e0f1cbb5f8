package inventory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

func named(names ...string) *[]string { return &names }

func user(l *inventorytest.Lab, name string) inventory.User {
	l.T.Helper()
	u, _ := l.UserByName(name)
	if u == nil {
		l.T.Fatalf("there is no user %s", name)
	}
	return *u
}

// account is a lab whose organization has the service account ci, for which bob
// answers.
func account(t *testing.T) *inventorytest.Lab {
	l := inventorytest.NewLab(t)
	l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "ci", Type: "service_account", Role: "write", Responsible: named("bob")})
	return l
}

func TestPeopleAnswerForAServiceAccount(t *testing.T) {
	l := account(t)
	add := func(c inventory.AddMember) inventory.AddMember {
		c.Organization = "acme"
		if c.Role == "" {
			c.Role = "write"
		}
		return c
	}
	l.Must(inventorytest.Operator, add(inventory.AddMember{User: "bot", Type: "service_account"}))
	for name, c := range map[string]inventory.AddMember{
		"of a person":             {User: "bob", Responsible: named("alice")},
		"one who is nobody":       {User: "ci", Responsible: named("nobody")},
		"one who is no member":    {User: "ci", Responsible: named("outsider")},
		"another account":         {User: "ci", Responsible: named("bot")},
		"itself":                  {User: "ci", Responsible: named("ci")},
		"of who becomes a person": {User: "ci", Type: "user", Whole: true, Responsible: named("bob")},
		"eleven people":           {User: "ci", Responsible: named(strings.Split(strings.Repeat("bob ", 11), " ")[:11]...)},
	} {
		t.Run(name, func(t *testing.T) {
			e := inventorytest.Refused[*inventory.Invalid](l, inventorytest.Operator, add(c))
			if !strings.HasPrefix(e.Field, "responsible") {
				t.Errorf("the field %q is named: %v", e.Field, e)
			}
		})
	}
	if c := l.Must(inventorytest.Operator, add(inventory.AddMember{User: "ci", Responsible: named("BOB", "bob")})); c.Audit != nil {
		t.Errorf("what was so already was written: %+v", c.Audit)
	}
	if c := l.Must(inventorytest.Operator, add(inventory.AddMember{User: "ci"})); c.Audit != nil {
		t.Errorf("who answers was changed without being named: %+v", c.Audit)
	}
	c := l.Must(inventorytest.Operator, add(inventory.AddMember{User: "ci", Responsible: named("rita", "bob")}))
	if got := c.Audit.Details["responsible"].([]string); !slices.Equal(got, []string{"bob", "rita"}) {
		t.Errorf("the audit says %v", got)
	}
	l.Must(inventorytest.Operator, add(inventory.AddMember{User: "ci", Responsible: named()}))
	if got, _ := l.Responsible(l.Organization("acme").ID, user(l, "ci").ID); len(got) > 0 {
		t.Errorf("nobody was named, and %v answer", got)
	}
}

// TestWhoAnswersForAnAccountAnswersQuestions as its owner would, while they are a
// member; and does not count as another person where two have to agree.
func TestWhoAnswersForAnAccountAnswersQuestions(t *testing.T) {
	l := account(t)
	token := l.Issue("ci", inventorytest.On("acme", "repo.write"))
	waits := func() bool {
		l.Must(inventorytest.Person("alice"), inventory.AskOwner{Organization: "acme", Token: token.ID, Question: "what for?"})
		return l.Asked(token, "acme").WaitsForOwner
	}
	says := func(name string) bool {
		l.Must(inventorytest.Person(name), inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "deploys"})
		return !l.Asked(token, "acme").WaitsForOwner
	}
	if !waits() || says("rita") || !says("bob") {
		t.Error("bob's word is no answer, or rita's is one")
	}
	l.Must(inventorytest.Operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: true}})
	l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Responsible: named("bob", "alice")})
	inventorytest.Refused[*inventory.Forbidden](l, inventorytest.Person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	l.Must(inventorytest.Person("ann"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	l.Must(inventorytest.Operator, inventory.RemoveMember{Organization: "acme", User: "bob"})
	if !waits() || says("bob") {
		t.Error("bob has left, and his word is an answer")
	}
}

func TestTheTypeOfWhoIsKnownIsNoSingleOrganizationsToChange(t *testing.T) {
	l := account(t)
	c := inventory.AddMember{Organization: "acme", User: "bob", Type: "service_account", Role: "write"}
	if e := inventorytest.Refused[*inventory.Invalid](l, inventorytest.Person("alice"), c); e.Field != "type" {
		t.Errorf("the field %q is named", e.Field)
	}
	c.Whole = true
	l.Must(inventorytest.Operator, c)
	if got := user(l, "bob").Type; got != "service_account" {
		t.Errorf("bob is a %s", got)
	}
	// Whoever became an account answers for none.
	token := l.Issue("ci", inventorytest.On("acme", "repo.write"))
	l.Must(inventorytest.Person("alice"), inventory.AskOwner{Organization: "acme", Token: token.ID, Question: "what for?"})
	l.Must(inventorytest.Person("bob"), inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "x"})
	if !l.Asked(token, "acme").WaitsForOwner {
		t.Error("an account answers for another")
	}
}

const bobsAddress = "bob@example.com"

// TestAnAddressIsConfirmed in each of the ways there are, and not by less.
func TestAnAddressIsConfirmed(t *testing.T) {
	give := func(l *inventorytest.Lab, email, confirmed string) *inventory.Change {
		return l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "bob", Role: "write", Email: email, Confirmed: confirmed})
	}
	confirm := func(l *inventorytest.Lab, by, email string) {
		u := user(l, "bob")
		_, _ = l.Do(inventorytest.Operator, inventory.ConfirmAddress{Organization: "acme", User: "bob", By: by, Email: email, AskedAt: u.AskedAt})
	}
	for _, c := range []struct {
		name string
		do   func(l *inventorytest.Lab)
		want string // how it is confirmed; "": it is not
	}{
		{"given alone", func(l *inventorytest.Lab) { give(l, bobsAddress, "") }, ""},
		{"given by a directory", func(l *inventorytest.Lab) { give(l, bobsAddress, inventory.ConfirmedByDirectory) }, "directory"},
		{"given again by a directory", func(l *inventorytest.Lab) {
			give(l, bobsAddress, "")
			give(l, bobsAddress, inventory.ConfirmedByDirectory)
		}, "directory"},
		{"given again in another case", func(l *inventorytest.Lab) {
			give(l, "Bob@Example.com", inventory.ConfirmedByDirectory)
			give(l, bobsAddress, "")
		}, "directory"},
		{"another one given after", func(l *inventorytest.Lab) {
			give(l, "old@example.com", inventory.ConfirmedByDirectory)
			give(l, bobsAddress, "")
		}, ""},
		{"on an administrator's word", func(l *inventorytest.Lab) { give(l, bobsAddress, ""); confirm(l, "administrator", "") }, "administrator"},
		{"by the link", func(l *inventorytest.Lab) { give(l, bobsAddress, ""); confirm(l, "link", bobsAddress) }, "link"},
		{"by the link, too late", func(l *inventorytest.Lab) {
			give(l, bobsAddress, "")
			l.After(inventory.LinkFor)
			confirm(l, "link", bobsAddress)
		}, ""},
		{"by the link, just in time", func(l *inventorytest.Lab) {
			give(l, bobsAddress, "")
			l.After(inventory.LinkFor - time.Second)
			confirm(l, "link", bobsAddress)
		}, "link"},
		{"by the link of another address", func(l *inventorytest.Lab) { give(l, bobsAddress, ""); confirm(l, "link", "old@example.com") }, ""},
		{"by the login provider", func(l *inventorytest.Lab) { give(l, bobsAddress, ""); confirm(l, "provider", bobsAddress) }, "provider"},
		{"by the login provider, which knows the only one", func(l *inventorytest.Lab) { confirm(l, "provider", bobsAddress) }, "provider"},
		{"by the login provider, which knows another", func(l *inventorytest.Lab) { give(l, "typo@example.com", ""); confirm(l, "provider", bobsAddress) }, "provider"},
		{"by the login provider, after a directory", func(l *inventorytest.Lab) {
			give(l, bobsAddress, "directory")
			confirm(l, "provider", "other@example.com")
		}, "directory"},
		{"by a word that nobody knows", func(l *inventorytest.Lab) { give(l, bobsAddress, ""); confirm(l, "hearsay", bobsAddress) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := inventorytest.NewLab(t)
			c.do(l)
			u := user(l, "bob")
			if u.ConfirmedBy != c.want || u.ConfirmedAt.IsZero() != (c.want == "") {
				t.Errorf("confirmed by %q at %v; want %q", u.ConfirmedBy, u.ConfirmedAt, c.want)
			}
			if u.Email != bobsAddress {
				t.Errorf("the address is %q", u.Email)
			}
		})
	}
}

// TestALinkIsMailedOnce to who is given an address, at most once an hour again,
// and the one before is good no more.
func TestALinkIsMailedOnce(t *testing.T) {
	l := inventorytest.NewLab(t)
	sent := func() (n int) {
		for _, e := range l.Events {
			if e.Kind == inventory.KindConfirmation && e.Owner == "bob" && e.Token == "" {
				n++
			}
		}
		return n
	}
	give := inventory.AddMember{Organization: "acme", User: "bob", Role: "write", Email: bobsAddress}
	l.Must(inventorytest.Operator, give)
	l.Must(inventorytest.Operator, give)
	if sent() != 1 {
		t.Fatalf("%d links were mailed", sent())
	}
	first := user(l, "bob").AskedAt
	again := inventory.AskConfirmation{Organization: "acme", User: "bob"}
	inventorytest.Refused[*inventory.Conflict](l, inventorytest.Person("alice"), again)
	l.After(time.Hour)
	l.Must(inventorytest.Person("alice"), again)
	if sent() != 2 {
		t.Fatalf("%d links were mailed", sent())
	}
	follow := inventory.ConfirmAddress{User: "bob", By: inventory.ConfirmedByLink, Email: bobsAddress, AskedAt: first}
	inventorytest.Refused[*inventory.Conflict](l, inventorytest.Person("bob"), follow)
	follow.AskedAt = user(l, "bob").AskedAt
	l.Must(inventorytest.Person("bob"), follow)
	inventorytest.Refused[*inventory.Conflict](l, inventorytest.Person("bob"), follow) // it was used
	if c := l.Must(inventorytest.Person("alice"), again); c.Audit != nil {
		t.Error("a link was mailed to who is confirmed")
	}
	for _, c := range []inventory.Command{
		inventory.AskConfirmation{Organization: "acme", User: "nobody"}, inventory.ConfirmAddress{Organization: "acme", User: "nobody", By: "administrator"},
	} {
		inventorytest.Refused[*inventory.NotFound](l, inventorytest.Operator, c)
	}
	for _, c := range []inventory.Command{
		inventory.AskConfirmation{Organization: "acme", User: "rita"},
		inventory.ConfirmAddress{Organization: "acme", User: "rita", By: "administrator"},
		inventory.AddMember{Organization: "acme", User: "rita", Role: "reviewer", Confirmed: inventory.ConfirmedByDirectory},
	} {
		inventorytest.Refused[*inventory.Invalid](l, inventorytest.Operator, c)
	}
}

// mute are policies of a server that can mail no link.
type mute struct{ inventory.Policies }

func (mute) MailsLinks() bool { return false }

// TestNobodyIsAskedWhereNoLinkCanBeMailed: no link is said to have been sent, and
// the first one may go out as soon as it can.
func TestNobodyIsAskedWhereNoLinkCanBeMailed(t *testing.T) {
	l := inventorytest.NewLab(t)
	can := l.Policies
	l.Policies = mute{can}
	l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "bob", Email: bobsAddress})
	ask := inventory.AskConfirmation{Organization: "acme", User: "bob"}
	if err := inventorytest.Refused[*inventory.Conflict](l, inventorytest.Operator, ask); !strings.Contains(err.Error(), "answer.public_url") {
		t.Errorf("refused as %v", err)
	}
	if u := user(l, "bob"); u.Email != bobsAddress || !u.AskedAt.IsZero() || len(l.Events) > 0 {
		t.Errorf("bob is %+v, and %v was told", u, l.Events)
	}
	l.Policies = can
	l.Must(inventorytest.Operator, ask)
	if user(l, "bob").AskedAt.IsZero() || len(l.Events) != 1 {
		t.Errorf("bob is %+v, and %v was told", user(l, "bob"), l.Events)
	}
}

// TestTheLastAdministratorStays where a caller asks for it: a directory does not,
// and wins.
func TestTheLastAdministratorStays(t *testing.T) {
	member := func(user, role string, keeps bool) inventory.Command {
		return inventory.AddMember{Organization: "acme", User: user, Role: role, KeepsAdmin: keeps}
	}
	remove := func(user string, keeps bool) inventory.Command {
		return inventory.RemoveMember{Organization: "acme", User: user, KeepsAdmin: keeps}
	}
	account := inventory.AddMember{Organization: "acme", User: "robot", Type: inventory.TypeServiceAccount, Role: "admin"}
	called := func(user string, keeps bool) inventory.Command {
		return inventory.AddMember{Organization: "acme", User: user, Type: inventory.TypeServiceAccount, Whole: true, KeepsAdmin: keeps}
	}
	t.Run("an account that administers alone is called one again", func(t *testing.T) {
		l := inventorytest.NewLab(t)
		l.Must(inventorytest.Operator, member("ann", "write", true))
		l.Must(inventorytest.Operator, account)
		l.Must(inventorytest.Operator, remove("alice", false))
		l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "robot", Type: inventory.TypeServiceAccount, KeepsAdmin: true})
		inventorytest.Refused[*inventory.Conflict](l, inventorytest.Operator, remove("robot", true))
	})
	for name, c := range map[string]struct {
		before  inventory.Command
		do      inventory.Command
		refused bool
	}{
		"an account is none to stay":            {account, remove("alice", true), true},
		"an account beside a person goes":       {account, remove("robot", true), false},
		"an account beside a person is demoted": {account, member("robot", "write", true), false},
		"an account is called one again":        {account, inventory.AddMember{Organization: "acme", User: "robot", Type: inventory.TypeServiceAccount, KeepsAdmin: true}, false},
		"the last one is called an account":     {nil, called("alice", true), true},
		"one of two is called an account":       {member("bob", "admin", true), called("alice", true), false},
		"nobody asks what the last is called":   {nil, called("alice", false), false},
		"the last one is demoted":               {nil, member("alice", "write", true), true},
		"the last one is removed":               {nil, remove("alice", true), true},
		"the last one stays one":                {nil, member("alice", "admin", true), false},
		"a role that is not given":              {nil, member("alice", "", true), false},
		"one of two is demoted":                 {member("bob", "admin", true), member("alice", "write", true), false},
		"one of two is removed":                 {member("bob", "admin", true), remove("alice", true), false},
		"who was one counts no more":            {member("ann", "write", true), remove("alice", true), true},
		"who is none goes":                      {nil, remove("bob", true), false},
		"nobody asks that one be kept":          {nil, member("alice", "write", false), false},
		"nor when the last one is taken":        {nil, remove("alice", false), false},
	} {
		t.Run(name, func(t *testing.T) {
			l := inventorytest.NewLab(t)
			l.Must(inventorytest.Operator, member("ann", "write", true)) // the lab's other administrator
			if c.before != nil {
				l.Must(inventorytest.Operator, c.before)
			}
			if !c.refused {
				l.Must(inventorytest.Operator, c.do)
				return
			}
			if err := inventorytest.Refused[*inventory.Conflict](l, inventorytest.Operator, c.do); !strings.Contains(err.Error(), "alice is the last administrator of acme") {
				t.Errorf("refused as %v", err)
			}
		})
	}
}

func TestARoleThatIsNotGivenStays(t *testing.T) {
	l := inventorytest.NewLab(t)
	role := func(name string) string {
		t.Helper()
		l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: name})
		o, _ := l.OrganizationByName("acme")
		u := user(l, name)
		periods, _ := l.Periods(o.ID, u.ID)
		return periods[len(periods)-1].Role
	}
	for name, want := range map[string]string{"alice": "admin", "bob": "write", "new": "read"} {
		if got := role(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
