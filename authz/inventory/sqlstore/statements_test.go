package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// oneConnection is a database that has one, and what it keeps.
func oneConnection(t *testing.T) (*sql.DB, func() *keeper) {
	t.Helper()
	d, err := connectSQLite(filepath.Join(t.TempDir(), "db"), 1, writeCache, writeBack/pageSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, func() (k *keeper) {
		t.Helper()
		c, err := d.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Raw(func(raw any) error { k = raw.(*keeper); return nil }); err != nil {
			t.Fatal(err)
		}
		return k
	}
}

func (k *keeper) inUse() (n int) {
	for _, e := range k.kept {
		if e.Value.(*statement).used {
			n++
		}
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStatementIsPreparedOnceOverTransactions(t *testing.T) {
	d, kept := oneConnection(t)
	_, err := d.Exec("CREATE TABLE x (n INTEGER)")
	must(t, err)
	var first prepared
	for n := range 5 {
		tx, err := d.Begin()
		must(t, err)
		_, err = tx.Exec("INSERT INTO x VALUES (?)", n)
		must(t, err)
		must(t, tx.Commit())
		now := kept().kept["INSERT INTO x VALUES (?)"].Value.(*statement).prepared
		if first == nil {
			first = now
		}
		if now != first {
			t.Fatal("it was prepared again")
		}
	}
	if n := kept().inUse(); n != 0 {
		t.Errorf("%d statements are in use", n)
	}
}

// TestAStatementWhoseRowsAreReadIsNotUsedTwice: another one of the same text has
// rows of its own.
func TestAStatementWhoseRowsAreReadIsNotUsedTwice(t *testing.T) {
	d, kept := oneConnection(t)
	_, err := d.Exec("CREATE TABLE x (n INTEGER); INSERT INTO x VALUES (1), (2), (3)")
	must(t, err)
	tx, err := d.Begin()
	must(t, err)
	const text = "SELECT n FROM x WHERE n >= ? ORDER BY n"
	outer, err := tx.Query(text, 1)
	must(t, err)
	pairs := ""
	for outer.Next() {
		var a int
		must(t, outer.Scan(&a))
		inner, err := tx.Query(text, a)
		must(t, err)
		for inner.Next() {
			var b int
			must(t, inner.Scan(&b))
			pairs += fmt.Sprint(a, b, " ")
		}
		must(t, inner.Err())
		must(t, inner.Close())
	}
	must(t, outer.Err())
	must(t, outer.Close())
	must(t, tx.Commit())
	if want := "1 1 1 2 1 3 2 2 2 3 3 3 "; pairs != want {
		t.Errorf("read %q", pairs)
	}
	if n := kept().inUse(); n != 0 {
		t.Errorf("%d statements are in use", n)
	}
}

func TestOnlySoManyStatementsAreKept(t *testing.T) {
	d, kept := oneConnection(t)
	for n := range 3 * keptStatements {
		var got int
		must(t, d.QueryRow(fmt.Sprintf("SELECT %d", n)).Scan(&got))
	}
	k := kept()
	if len(k.kept) != keptStatements || k.latest.Len() != keptStatements {
		t.Errorf("%d are kept, %d in order", len(k.kept), k.latest.Len())
	}
	if _, ok := k.kept[fmt.Sprintf("SELECT %d", 3*keptStatements-1)]; !ok {
		t.Error("the one used last is not")
	}
}

// TestAKeptStatementFollowsTheSchema, fails where its table is gone, and works
// again where that is back; a statement that failed holds nothing.
func TestAKeptStatementFollowsTheSchema(t *testing.T) {
	d, kept := oneConnection(t)
	_, err := d.Exec("CREATE TABLE x (n INTEGER UNIQUE); INSERT INTO x VALUES (1)")
	must(t, err)
	read := func() (n int, err error) { return n, d.QueryRow("SELECT count(*) FROM x").Scan(&n) }
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := d.Exec("INSERT INTO x VALUES (?)", 1); err == nil {
			t.Fatal("inserted twice")
		}
	}
	_, err = d.Exec("ALTER TABLE x ADD COLUMN m TEXT")
	must(t, err)
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	_, err = d.Exec("DROP TABLE x")
	must(t, err)
	if _, err := read(); err == nil {
		t.Error("a table that is gone was read")
	}
	_, err = d.Exec("CREATE TABLE x (n INTEGER)")
	must(t, err)
	if n, err := read(); err != nil || n != 0 {
		t.Error(n, err)
	}
	if n := kept().inUse(); n != 0 {
		t.Errorf("%d statements are in use", n)
	}
}

// TestAnEndedQueryFreesItsStatement: what it held is not held any more.
func TestAnEndedQueryFreesItsStatement(t *testing.T) {
	d, kept := oneConnection(t)
	_, err := d.Exec("CREATE TABLE x (n INTEGER); INSERT INTO x VALUES (1), (2), (3)")
	must(t, err)
	ctx, end := context.WithCancel(t.Context())
	rows, err := d.QueryContext(ctx, "SELECT n FROM x")
	must(t, err)
	rows.Next()
	end()
	rows.Close()
	_ = rows.Err() // it was ended
	if n := kept().inUse(); n != 0 {
		t.Errorf("%d statements are in use", n)
	}
	_, err = d.Exec("DROP TABLE x") // fails while a statement reads it
	must(t, err)
}
