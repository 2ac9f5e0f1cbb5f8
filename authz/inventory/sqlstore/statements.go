package sqlstore

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
)

// A SQLite statement takes as long to prepare as a small one takes to run, and
// database/sql forgets it with its transaction. So each connection keeps those
// it used last, by their text; what changes of the schema, SQLite sees itself.
const (
	keptStatements = 64
	// keptText is how long a text may be to be kept: the long ones are those that
	// write many rows at once, each for itself.
	keptText = 4 << 10
)

// keepingStatements connects to SQLite by connections that keep their
// statements.
type keepingStatements struct{ driver.Connector }

// Connect implements [driver.Connector].
func (k keepingStatements) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	made, ok := c.(connection)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks what its connections had"), c.Close())
	}
	return &keeper{connection: made, kept: map[string]*list.Element{}, latest: list.New()}, nil
}

// connection is what a connection of the driver can do, but for what it does to
// a text without preparing it: that goes by a statement too.
type connection interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// keeper is a connection that keeps its statements. As all connections, it
// serves one caller at a time.
type keeper struct {
	connection
	kept   map[string]*list.Element // of *statement
	latest *list.List               // the one used last first
}

// prepared is what a statement of the driver can do.
type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is a prepared one. Closed, it waits for who prepares its text again.
type statement struct {
	prepared
	text string
	used bool
}

// PrepareContext implements [driver.ConnPrepareContext].
func (k *keeper) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if len(text) > keptText {
		return k.connection.PrepareContext(ctx, text)
	}
	if e, ok := k.kept[text]; ok {
		s := e.Value.(*statement)
		if s.used { // its rows are being read: this is another one
			return k.connection.PrepareContext(ctx, text)
		}
		s.used = true
		k.latest.MoveToFront(e)
		return s, nil
	}
	made, err := k.connection.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p, ok := made.(prepared)
	if !ok {
		return made, nil
	}
	s := &statement{prepared: p, text: text, used: true}
	k.kept[text] = k.latest.PushFront(s)
	k.drop()
	return s, nil
}

// drop closes the statements that were not used for the longest time. That one
// of them cannot be closed is no fault of who prepares another one: it would fail
// him, and keep his statement in use for ever.
func (k *keeper) drop() {
	for e := k.latest.Back(); e != nil && k.latest.Len() > keptStatements; {
		s, before := e.Value.(*statement), e.Prev()
		if !s.used {
			k.latest.Remove(e)
			delete(k.kept, s.text)
			_ = s.prepared.Close()
		}
		e = before
	}
}

// Prepare implements [driver.Conn].
func (k *keeper) Prepare(text string) (driver.Stmt, error) {
	return k.PrepareContext(context.Background(), text)
}

// Close implements [driver.Conn].
func (k *keeper) Close() error {
	var err error
	for _, e := range k.kept {
		err = errors.Join(err, e.Value.(*statement).prepared.Close())
	}
	clear(k.kept)
	k.latest.Init()
	return errors.Join(err, k.connection.Close())
}

// Close implements [driver.Stmt]: the statement is kept.
func (s *statement) Close() error {
	s.used = false
	return nil
}
