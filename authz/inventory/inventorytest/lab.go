package inventorytest

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// The token policies of [Policies].
const (
	Open     = "allow_user_access_tokens"
	Scoped   = "only_fine_grained_tokens"
	Approval = "require_administrator_approval"
)

// Policies are three of the base bundle's, with a review rule that says the
// same of every request; nil says nothing.
type Policies struct{ Says *inventory.Recommendation }

var names = []string{Open, Scoped, Approval}

// HasPolicy implements [inventory.Policies].
func (*Policies) HasPolicy(name string) bool { return slices.Contains(names, name) }

// RequiresApproval implements [inventory.Policies].
func (*Policies) RequiresApproval(name string) bool { return name == Approval }

// PolicyNames implements [inventory.Policies].
func (*Policies) PolicyNames() []string { return names }

// Recommend implements [inventory.Recommender].
func (p *Policies) Recommend(inventory.ReviewFacts) (*inventory.Recommendation, error) {
	if p.Says == nil {
		return &inventory.Recommendation{Action: inventory.RecommendEscalate, Revision: "test"}, nil
	}
	says := *p.Says
	return &says, nil
}

// Operator is whoever uses the server's own socket.
var Operator = inventory.Actor{Kind: "socket", Name: "uid:0"}

// Person is a user at the console.
func Person(name string) inventory.Actor { return inventory.Actor{Kind: "console", Name: name} }

// Digest makes a digest of a number.
func Digest(n int) authz.Digest {
	var d authz.Digest
	binary.BigEndian.PutUint64(d[:], uint64(n)+1) //nolint:gosec // small
	return d
}

// On grants permissions on an organization.
func On(organization string, permissions ...string) authz.Grant {
	return authz.Grant{Entity: authz.Entity{Type: "organization", Name: organization}, Permissions: permissions}
}

// Lab is a Memory whose commands must succeed or fail a test.
type Lab struct {
	*Memory
	T     testing.TB
	Rules *Policies
	next  int
}

// NewLab is an inventory with the organization acme, which asks for approvals,
// its administrators alice and ann, the reviewer rita, and the member bob.
func NewLab(t testing.TB) *Lab {
	t.Helper()
	p := &Policies{}
	l := &Lab{Memory: New(p, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)), T: t, Rules: p}
	l.Must(Operator, inventory.CreateOrganization{Name: "acme", TokenPolicy: Approval})
	for name, role := range map[string]string{"alice": "admin", "ann": "admin", "rita": "reviewer", "bob": "write"} {
		l.Must(Operator, inventory.AddMember{Organization: "acme", User: name, Role: role})
	}
	l.After(time.Minute)
	return l
}

// After moves the clock on.
func (l *Lab) After(d time.Duration) { l.Now = l.Now.Add(d) }

// Must carries a command out.
func (l *Lab) Must(a inventory.Actor, c inventory.Command) *inventory.Change {
	l.T.Helper()
	change, err := l.Do(a, c)
	if err != nil {
		l.T.Fatalf("%s by %s: %v", c.Action(), a.Name, err)
	}
	return change
}

// Refused carries a command out that has to fail with an error of type E, and
// checks that it changed nothing.
func Refused[E error](l *Lab, a inventory.Actor, c inventory.Command) E {
	l.T.Helper()
	before, entries := l.Changes, len(l.Audit)
	_, err := l.Do(a, c)
	e, ok := err.(E) //nolint:errorlint // made by the rules, never wrapped
	if !ok {
		l.T.Fatalf("%s by %s: %v (%T); want %T", c.Action(), a.Name, err, err, e)
	}
	if l.Changes != before || len(l.Audit) != entries {
		l.T.Fatalf("%s was refused and changed something", c.Action())
	}
	return e
}

// Secret is a digest that no token has.
func (l *Lab) Secret() authz.Digest {
	l.next++
	return Digest(l.next)
}

// Issue makes a fine-grained token.
func (l *Lab) Issue(owner string, grants ...authz.Grant) *inventory.Token {
	l.T.Helper()
	c := l.Must(Operator, inventory.IssueToken{Owner: owner, DisplayName: "ci", Kind: authz.KindFineGrained, Grants: grants, Digest: l.Secret(), Last4: "abcd"})
	return l.Token(c.Subject.TokenID)
}

// Token is a token as it is now.
func (l *Lab) Token(id string) *inventory.Token { return l.Tokens[id] }

// Organization is an organization as it is now.
func (l *Lab) Organization(name string) *inventory.Organization {
	l.T.Helper()
	o, _ := l.OrganizationByName(name)
	if o == nil {
		l.T.Fatalf("there is no organization %s", name)
	}
	return o
}

// Decided is what holds between a token and an organization.
func (l *Lab) Decided(t *inventory.Token, organization string) inventory.Authorization {
	l.T.Helper()
	if a := l.Decisions[[2]string{t.ID, l.Organization(organization).ID}]; a != nil {
		return *a
	}
	return inventory.Authorization{State: authz.StateNone}
}

// Asked is the latest request on a token, or an empty one.
func (l *Lab) Asked(t *inventory.Token, organization string) inventory.Request {
	l.T.Helper()
	q, _ := l.LatestRequest(t.ID, l.Organization(organization).ID)
	if q == nil {
		return inventory.Request{}
	}
	return *q
}

// Hit is what the decision path does when a pending token is used.
func (l *Lab) Hit(t *inventory.Token, organization string) {
	l.T.Helper()
	l.Must(inventory.Actor{Kind: "system", Name: "patrol"}, inventory.OpenRequest{Organization: l.Organization(organization).ID, Token: t.ID})
}
