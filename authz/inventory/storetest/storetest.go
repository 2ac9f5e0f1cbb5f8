// Package storetest is what every store of the inventory has to pass: all its
// queries and commands, many writers, gaps, retention, and what must be written
// together or not at all.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

// Store is what a store offers.
type Store interface {
	Do(context.Context, inventory.Actor, inventory.Command) (inventory.Result, error)

	LoadEach(context.Context, inventory.Loading) (int64, error)
	Changes(ctx context.Context, after int64) (r *inventory.Records, last int64, gap bool, err error)

	Organizations(context.Context, inventory.Page) (rows []inventory.OrganizationRow, next string, err error)
	Organization(ctx context.Context, name string) (*inventory.OrganizationRow, error)
	Members(ctx context.Context, organization string, p inventory.Page) (rows []inventory.MemberRow, next string, err error)
	Member(ctx context.Context, organization, user string) (*inventory.MemberRow, error)
	FindMembers(ctx context.Context, organization string, f inventory.MemberFilter, p inventory.Page) (rows []inventory.MemberRow, next string, err error)
	FindAudit(ctx context.Context, organization string, f inventory.AuditFilter, p inventory.Page) (rows []inventory.AuditRow, next string, err error)
	Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error)
	Token(ctx context.Context, organization, id string) (*inventory.TokenRow, error)
	Reach(ctx context.Context, ids []string) ([]inventory.TokenRow, error)
	Approvals(ctx context.Context, organization, status string, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error)
	Audit(ctx context.Context, organization string, p inventory.Page) (rows []inventory.AuditRow, next string, err error)
	AuditEntries(ctx context.Context, after int64, limit int) ([]auditlog.Entry, error)
	AuditState(context.Context) (*auditlog.State, error)
	PoliciesInUse(context.Context) ([]string, error)
	AccountsOf(ctx context.Context, person string) ([]inventory.Account, error)
	User(ctx context.Context, name string) (*inventory.User, error)

	ReadDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error
	WriteDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error

	Close() error
}

// Options of a store that a test opens.
type Options struct {
	KeyCheck  string
	Policies  inventory.Policies
	Retention time.Duration // 0: the default
	Clock     func() time.Time
	Changed   func() // another store may have written
	Imported  func(first, last int64, r *inventory.Records)
}

// Open opens another store on the database of the test.
type Open func(Options) (Store, error)

// Run holds a kind of store to the suite; database makes a new, empty one.
func Run(t *testing.T, database func(t *testing.T) Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"every command":                          everyCommand,
		"a request is opened and decided":        aRequestIsOpenedAndDecided,
		"a deleted token comes back decided":     aDeletedTokenComesBackAsItWasDecidedOn,
		"leaving ends approvals":                 leavingEndsApprovals,
		"bad input changes nothing":              badInputChangesNothing,
		"text that is no text":                   textThatIsNoText,
		"many writers lose nothing":              manyWritersLoseNothing,
		"loading gives what the changes give":    loadingGivesWhatTheChangesGive,
		"an import hands over what it wrote":     anImportHandsOverWhatItWrote,
		"a follower misses nothing":              aFollowerMissesNothing,
		"a cancelled write leaves no part":       aCancelledWriteLeavesNoPart,
		"other writers are told of":              otherWritersAreToldOf,
		"a forgotten change is a gap":            aForgottenChangeIsAGap,
		"a long change is forgotten whole":       aLongChangeIsForgottenWhole,
		"too many changes are a gap":             tooManyChangesAreAGap,
		"another key is refused":                 anotherKeyIsRefused,
		"pages hold all, once":                   pagesHoldAllOnce,
		"members are found":                      membersAreFound,
		"the audit is searched":                  theAuditIsSearched,
		"filters are what they say":              filtersAreWhatTheySay,
		"an organization lists what concerns it": anOrganizationListsWhatConcernsIt,
		"an import is all or nothing":            anImportIsAllOrNothing,
		"what a life cycle leaves":               whatALifeCycleLeaves,
		"a token made elsewhere is seen":         aTokenMadeElsewhereIsSeen,
		"a directory is kept":                    aDirectoryIsKept,
		"members are kept":                       membersAreKept,
		"who answered is kept":                   whoAnsweredIsKept,
		"reach":                                  reachIsOfEachOrganization,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, database(t))
		})
	}
}

// policies are those of the suite.
type policies struct{}

func (policies) HasPolicy(name string) bool {
	return name == "allow_user_access_tokens" || name == "only_fine_grained_tokens" || name == "require_administrator_approval"
}

func (policies) RequiresApproval(name string) bool { return name == "require_administrator_approval" }
func (policies) PolicyNames() []string             { return []string{"allow_user_access_tokens"} }

var operator = inventory.Actor{Kind: "socket", Name: "uid:0"}

func open(t *testing.T, o Open) Store { return openWith(t, o, Options{}) }

func openWith(t *testing.T, open Open, o Options) Store {
	t.Helper()
	o.Policies = policies{}
	if o.KeyCheck == "" {
		o.KeyCheck = "check"
	}
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func do(t *testing.T, s Store, c inventory.Command) inventory.Result {
	t.Helper()
	r, err := s.Do(context.Background(), operator, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Action(), err)
	}
	return r
}

var acmeGrant = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write", "repo.content.read"}}}

// acme is an organization that asks for approvals, with an administrator, a
// member, and the member's pending token.
func acme(t *testing.T, s Store) *inventory.TokenRow {
	t.Helper()
	do(t, s, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "alice", Role: "admin"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	return do(t, s, issue("bob", 1)).Token
}

func issue(owner string, digest byte) inventory.IssueToken {
	return inventory.IssueToken{Owner: owner, DisplayName: "ci", Kind: authz.KindFineGrained, Grants: acmeGrant, Digest: authz.Digest{digest}, Last4: "abcd"}
}

func unscoped(owner, kind string, digest byte) inventory.IssueToken {
	return inventory.IssueToken{Owner: owner, DisplayName: kind, Kind: kind, Digest: authz.Digest{digest}, Last4: "abcd"}
}

func status(t *testing.T, s Store, id string) string {
	t.Helper()
	row, err := s.Token(context.Background(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return row.Authorization.Status
}

func change(t *testing.T, s Store) int64 {
	t.Helper()
	_, n, err := load(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func audit(t *testing.T, s Store) []inventory.AuditRow {
	t.Helper()
	rows, next, err := s.Audit(context.Background(), "", inventory.Page{Limit: 1000})
	if err != nil || next != "" {
		t.Fatalf("audit: %v, next %q", err, next)
	}
	return rows
}

// chained holds the audit log to its chain: n entries, each as it was written.
func chained(t *testing.T, s Store, n int64) {
	t.Helper()
	ctx := context.Background()
	end, err := s.AuditState(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v := auditlog.NewVerifier(end.Heads)
	for after := int64(0); ; {
		list, err := s.AuditEntries(ctx, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			v.Add(e)
			after = e.Seq
		}
		if len(list) == 0 {
			break
		}
	}
	if r := v.Finish(*end, true); r.Entries != n || len(r.Problems) > 0 {
		t.Errorf("the audit has %d entries; want %d: %+v", r.Entries, n, r.Problems)
	}
}
