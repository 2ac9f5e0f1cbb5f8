package preview_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/authz/usage"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

const (
	open     = "allow_user_access_tokens"
	scoped   = "only_fine_grained_tokens"
	approval = "require_administrator_approval"
)

var start = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// lab is a real database, snapshot and bundle, with the organization acme: alice
// is its administrator, bob and carol may write.
type lab struct {
	*preview.Previewer
	t        testing.TB
	store    *sqlstore.Store
	follower *snapshot.Follower
	bundles  *bundles.Manager
	now      time.Time
	ids      map[string]string // of tokens, by name
	acme     string
}

func newLab(t testing.TB, overlay ...string) *lab {
	t.Helper()
	l := &lab{t: t, now: start, ids: map[string]string{}}
	clock := func() time.Time { return l.now }
	l.bundles = bundles.New(bundles.Options{
		Base: rego.Base(), Schema: rego.Schema(), Paths: overlay, StateDir: t.TempDir(),
		Build: func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
			return engine.New(ctx, engine.Options{Compiler: c.Compiler, Store: c.Store, Schema: rego.Schema()})
		},
		Asker: func(ctx context.Context, c bundles.Compiled, e authz.Evaluator) authz.Asker {
			return engine.NewAsker(ctx, engine.Options{Compiler: c.Compiler, Store: c.Store}, e)
		},
		Router: func(data map[string]any) (authz.Router, error) { return routing.FromData(data) },
	})
	var err error
	l.check(l.bundles.Start(t.Context()))
	t.Cleanup(l.bundles.Close)
	l.store, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "patrol.db"), Policies: l.bundles, Clock: clock})
	l.check(err)
	t.Cleanup(func() { l.store.Close() })
	l.follower, err = snapshot.Start(t.Context(), snapshot.Options{
		Feed: l.store, FreezeOrganization: input.FreezeOrganization, FreezeGrants: input.FreezeGrants, Clock: clock,
	})
	l.check(err)
	t.Cleanup(l.follower.Close)
	l.Previewer = preview.New(preview.Options{
		Store: l.store, Snapshot: func() preview.Snapshot { return l.follower.Snapshot() }, Rules: l.bundles.Ruleset,
		Judge: decide.Judge, Freeze: input.FreezeOrganization, Clock: clock,
	})
	r := l.do(inventory.CreateOrganization{Name: "acme"})
	l.acme = r.Organization.ID
	l.do(inventory.CreateOrganization{Name: "globex"})
	for name, role := range map[string]string{"alice": "admin", "bob": "write", "carol": "write"} {
		l.do(inventory.AddMember{Organization: "acme", User: name, Role: role})
	}
	l.now = l.now.Add(time.Hour)
	return l
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) do(c inventory.Command) inventory.Result {
	l.t.Helper()
	r, err := l.store.Do(l.t.Context(), inventorytest.Operator, c)
	if err != nil {
		l.t.Fatalf("%s: %v", c.Action(), err)
	}
	l.check(l.follower.CatchUp(l.t.Context()))
	return r
}

// issue makes a token: fine-grained ones reach acme by a grant, or what is given.
func (l *lab) issue(owner, name, kind string, grants ...authz.Grant) {
	l.t.Helper()
	if kind == authz.KindFineGrained && len(grants) == 0 {
		grants = []authz.Grant{inventorytest.On("acme", "repo.content.read", "repo.write")}
	}
	r := l.do(inventory.IssueToken{Owner: owner, DisplayName: name, Kind: kind, Grants: grants, Digest: inventorytest.Digest(len(l.ids)), Last4: "0000"})
	l.ids[name] = r.Token.ID
}

// write stores usage.
func (l *lab) write(b *usage.Batch) {
	l.t.Helper()
	_, err := l.store.WriteUsage(l.t.Context(), b)
	l.check(err)
}

// used says that a token was allowed n requests so many days ago.
func (l *lab) used(name string, daysAgo int, n int64, permission string) {
	l.t.Helper()
	at := l.now.AddDate(0, 0, -daysAgo)
	l.write(&usage.Batch{
		Counts: []usage.Count{{Key: usage.Key{
			Day: usage.DayOf(at), Token: l.ids[name], Organization: l.acme, ResourceType: "model", Resource: "acme/model", Permission: permission,
			Reason: "allowed", Allowed: true,
		}, Count: n, First: at, Last: at}},
		Uses: []usage.Use{{Token: l.ids[name], Organization: l.acme, Allowed: at}},
	})
}

func (l *lab) approve(name string) { l.do(inventory.Approve{Organization: "acme", Token: l.ids[name]}) }

func (l *lab) policy(name string) { l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: name}) }
