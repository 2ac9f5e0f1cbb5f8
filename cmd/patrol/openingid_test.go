package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// waitsFor is what an answer says of the approval that a token waits for.
type waitsFor struct{ ID, State string }

// hit sends a request about a model of an organization with a token's secret.
func hit(t *testing.T, address, organization, secret string) (reason string, approval waitsFor) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: "/api/models/" + organization + "/model", Host: "hub.example", Headers: map[string]string{"authorization": "Bearer " + secret},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Code     string
		Approval waitsFor
	}
	_ = json.Unmarshal([]byte(r.GetDeniedResponse().GetBody()), &body)
	return body.Code, body.Approval
}

// holdSQLite keeps everybody else from writing to a database, until release.
func holdSQLite(t *testing.T, file string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err == nil {
		_, err = conn.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		conn.Close()
		db.Close()
	}
}

// holdPostgres does so with PostgreSQL, by the lock that each writer takes.
func holdPostgres(t *testing.T, url string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err == nil {
		_, err = conn.Exec(context.Background(), "SELECT pg_advisory_lock($1)", int64(0x706174726f6c))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(context.Background()) }
}

// TestTheFirstAnswerNamesTheRequestThatIsOpenedThen, while the store cannot be
// written to: in the first round and in each that follows a decision, a change or
// a withdrawal, and on every replica alike.
func TestTheFirstAnswerNamesTheRequestThatIsOpenedThen(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		w := startApp(t, nil)
		opensAsNamed(t, []*world{w}, func() func() { return holdSQLite(t, filepath.Join(w.Config.DataDir, databaseFile)) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url := postgrestest.Start(t).Database(t)
		opensAsNamed(t, replicas(t, url, nil), func() func() { return holdPostgres(t, url) })
	})
}

func opensAsNamed(t *testing.T, all []*world, hold func() func()) {
	w := all[0]
	secrets, ids := shared(t, w, 1)
	secret, token := secrets[0].Reveal(), ids[0]
	organization := w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "require_administrator_approval"}).Organization.ID
	followed := func() {
		t.Helper()
		for _, w := range all {
			if err := w.Follower.CatchUp(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	each := func(round int, state string) {
		t.Helper()
		want := waitsFor{authz.RequestID(token, organization, round), state}
		for i, w := range all {
			if reason, got := hit(t, w.listeners[0].Addr().String(), "acme", secret); reason != "approval_pending" || got != want {
				t.Errorf("replica %d, round %d: %s %+v, want %+v", i, round, reason, got, want)
			}
		}
	}
	opened := func(round int) {
		t.Helper()
		release := hold()
		each(round, "opening")
		release()
		waitFor(t, "the request is open", func() bool {
			_, got := hit(t, w.listeners[0].Addr().String(), "acme", secret)
			return got.State == "open"
		})
		followed()
		each(round, "open")
		rows, _, err := w.Store.Approvals(context.Background(), "acme", "open", inventory.Page{})
		if err != nil || len(rows) != 1 || rows[0].ID != authz.RequestID(token, organization, round) {
			t.Errorf("round %d: the store has %+v, %v", round, rows, err)
		}
	}
	later := func(span time.Duration) {
		for _, w := range all {
			w.after(t, span)
		}
	}
	followed()
	opened(0)

	w.do(t, inventory.Deny{Organization: "acme", Token: token, Reason: "no"})
	followed()
	if reason, _ := hit(t, w.listeners[0].Addr().String(), "acme", secret); reason != "approval_denied" {
		t.Errorf("denied: %s", reason)
	}
	asked := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read", "repo.write"}}}
	w.do(t, inventory.UpdateToken{Token: token, Grants: &asked})
	followed()
	if q := w.do(t, inventory.OpenRequest{Organization: organization, Token: token}).Approval; q == nil || q.ID != authz.RequestID(token, organization, 1) {
		t.Errorf("asked again after a denial: %+v", q)
	}

	w.do(t, inventory.Approve{Organization: "acme", Token: token, Until: w.Clock().Add(time.Hour)})
	later(2 * time.Hour)
	opened(2)

	bob := inventory.Actor{Kind: "console", Name: "bob"}
	if _, err := (&commands{w.App}).Do(context.Background(), bob, inventory.WithdrawRequest{Organization: "acme", Token: token}); err != nil {
		t.Fatal(err)
	}
	followed()
	// It rests: no request is on its way, as soon as each replica's store has said so.
	for i, w := range all {
		waitFor(t, fmt.Sprintf("replica %d tells the withdrawn request", i), func() bool {
			reason, got := hit(t, w.listeners[0].Addr().String(), "acme", secret)
			return reason == "approval_pending" && got == waitsFor{authz.RequestID(token, organization, 2), "withdrawn"}
		})
	}
	later(48 * time.Hour)
	opened(3)
}

// TestARequestThatWasNamedBeforeAKillIsTheOneOpenedAfterIt: the server is killed
// while its store cannot be written to, after it told a client of the request.
func TestARequestThatWasNamedBeforeAKillIsTheOneOpenedAfterIt(t *testing.T) {
	dir, binary := builtHere(t)
	data := filepath.Join(dir, "data")
	s := startServer(t, binary, data)
	one := lateTokens(t, s, 1)[0]
	release := holdSQLite(t, filepath.Join(data, databaseFile))
	reason, first := hit(t, s.addr, "late", one.Secret)
	if reason != "approval_pending" || first.State != "opening" || len(first.ID) != 36 {
		t.Errorf("before the kill: %s %+v", reason, first)
	}
	s.kill()
	release()
	s = startServer(t, binary, data)
	waiting := patrolBinary{binary, data}.expect(t, 0, "", "approval", "list", "late", "-o", "json")
	if strings.Contains(waiting, one.ID) {
		t.Fatalf("the request was open before the kill, so that this shows nothing: %s", waiting)
	}
	var second waitsFor
	waitFor(t, "the request is open", func() bool {
		_, second = hit(t, s.addr, "late", one.Secret)
		return second.State == "open"
	})
	if second.ID != first.ID {
		t.Errorf("told of %s, opened is %s", first.ID, second.ID)
	}
	patrolBinary{binary, data}.expect(t, 0, first.ID, "approval", "list", "late", "-o", "json")
}
