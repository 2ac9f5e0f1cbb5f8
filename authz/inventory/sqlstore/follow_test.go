package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// replica is a store whose follower looks at the change log each interval, and
// when it hears of a change, as a server does.
type replica struct {
	*sqlstore.Store
	follower *snapshot.Follower
	heard    atomic.Int64
}

// follow opens a database once more. A deaf replica hears of nothing.
func (d *database) follow(t *testing.T, interval time.Duration, deaf bool) *replica {
	t.Helper()
	r := &replica{}
	var following atomic.Pointer[snapshot.Follower]
	o := d.Options
	o.KeyCheck, o.Policies = "check", policies{}
	if !deaf {
		o.Changed = func() {
			r.heard.Add(1)
			if f := following.Load(); f != nil {
				f.Hint()
			}
		}
	}
	var err error
	if r.Store, err = sqlstore.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if r.follower, err = snapshot.Start(t.Context(), snapshot.Options{Feed: r.Store, Interval: interval}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.follower.Close)
	following.Store(r.follower)
	return r
}

// knows says whether a replica decides by an organization.
func (r *replica) knows(organization string) bool {
	return r.follower.Snapshot().Organization(organization) != nil
}

// listens waits until a replica hears of changes.
func (r *replica) listens(t *testing.T, before int64) {
	t.Helper()
	soon(t, "nobody listens", func() bool { return r.heard.Load() > before })
}

func soon(t *testing.T, otherwise string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// TestAnotherReplicaIsToldOfAChange: by PostgreSQL's notification alone, since
// nobody looks at the change log by itself within the hour.
func TestAnotherReplicaIsToldOfAChange(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, d *database) {
		writer, reader := d.follow(t, time.Hour, true), d.follow(t, time.Hour, false)
		reader.listens(t, 0)
		do(t, writer.Store, inventory.CreateOrganization{Name: "acme"})
		soon(t, "the change is not known at the other replica", func() bool { return reader.knows("acme") })

		// A command that changes nothing tells nobody, one that is refused neither.
		told := reader.heard.Load()
		do(t, writer.Store, inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens"})
		if _, err := writer.Do(t.Context(), operator, inventory.CreateOrganization{Name: "acme"}); err == nil {
			t.Fatal("an organization was made twice")
		}
		do(t, writer.Store, inventory.CreateOrganization{Name: "beta"})
		soon(t, "the next change is not known", func() bool { return reader.knows("beta") })
		if n := reader.heard.Load() - told; n != 1 {
			t.Errorf("of one change it was told %d times", n)
		}

		// What is told while the connection is cut is lost; once it listens again, it looks.
		told = reader.heard.Load()
		cut := `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`
		if _, err := d.raw.Exec(cut); err != nil {
			t.Fatal(err)
		}
		soon(t, "the connection is not cut", func() bool {
			var n int
			if err := d.raw.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == 0
		})
		do(t, writer.Store, inventory.CreateOrganization{Name: "gamma"})
		if reader.knows("gamma") && reader.heard.Load() == told {
			t.Error("it knows of a change that nobody told it of")
		}
		reader.listens(t, told)
		soon(t, "what was lost is not made up for", func() bool { return reader.knows("gamma") })
	})
}

// TestPollingFindsWhatNobodyTold: the notification is only a hint.
func TestPollingFindsWhatNobodyTold(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		writer, reader := d.follow(t, time.Hour, true), d.follow(t, 20*time.Millisecond, true)
		never := d.follow(t, time.Hour, true)
		do(t, writer.Store, inventory.CreateOrganization{Name: "acme"})
		soon(t, "polling does not find the change", func() bool { return reader.knows("acme") })
		if never.knows("acme") {
			t.Error("who neither looks nor hears knows of it: the test shows nothing")
		}
	})
}

// TestAReplicaThatWasAwayLoadsAnew: when the change log no longer reaches back
// to what a replica has, or lists too much, it loads all, and has what the
// others have.
func TestAReplicaThatWasAwayLoadsAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		clock := &watch{}
		d.Clock, d.Retention = clock.now, time.Hour
		writer, away := d.follow(t, time.Hour, true), d.follow(t, time.Hour, true)
		acme(t, writer.Store)
		do(t, writer.Store, issue("bob", 2))
		if err := away.follower.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		had := away.follower.Snapshot().Change()
		token, _ := away.Token(t.Context(), "acme", tokenOf(t, away, authz.Digest{2}))
		do(t, writer.Store, inventory.DeleteToken{Token: token.ID})
		do(t, writer.Store, inventory.AddMember{Organization: "acme", User: "carol", Role: "read"})
		clock.forward(2 * time.Hour)
		do(t, writer.Store, inventory.CreateOrganization{Name: "beta"}) // with it, what is older is forgotten
		if _, _, gap, err := away.Changes(t.Context(), had); err != nil || !gap {
			t.Fatalf("the log has no gap: the test shows nothing (%v)", err)
		}
		for _, r := range []*replica{away, writer} {
			if err := r.follower.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := r.follower.Snapshot()
			if s.Token(authz.Digest{2}, new(authz.Token)) || !s.Token(authz.Digest{1}, new(authz.Token)) || !r.knows("beta") || s.Tokens() != 1 {
				t.Errorf("it has %d tokens, and beta: %t", s.Tokens(), r.knows("beta"))
			}
		}
		if a, b := away.follower.Snapshot().Change(), writer.follower.Snapshot().Change(); a != b {
			t.Errorf("it is at %d, the other at %d", a, b)
		}
		// And it goes on change by change.
		do(t, writer.Store, inventory.CreateOrganization{Name: "gamma"})
		if err := away.follower.CatchUp(context.Background()); err != nil || !away.knows("gamma") {
			t.Errorf("after it: %v, gamma: %t", err, away.knows("gamma"))
		}
	})
}

// tokenOf is the id of a digest's token.
func tokenOf(t *testing.T, r *replica, d authz.Digest) string {
	t.Helper()
	var token authz.Token
	if !r.follower.Snapshot().Token(d, &token) {
		t.Fatal("the token is not known")
	}
	return token.ID
}
