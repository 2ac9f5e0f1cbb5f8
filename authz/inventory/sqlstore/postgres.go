package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// channel is where changes are told of. It is only a hint.
const channel = "patrol_changes"

// turn is the key of the advisory lock that lets one transaction write at a
// time, as in SQLite: rules read before they write, and all take one counter.
const turn = 0x706174726f6c // "patrol"

// oldest is the oldest version of PostgreSQL that is supported.
const oldest = 140000

var postgres = dialect{
	goose: goose.DialectPostgres, migrations: "postgres",
	writing: sql.TxOptions{Isolation: sql.LevelReadCommitted},
	reading: sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	lock: func(ctx context.Context, tx *sql.Tx) error {
		// What is acknowledged is on the disk, also where the server is set to
		// acknowledge before; and the turn is given back when who has it is gone.
		_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1), set_config('idle_in_transaction_session_timeout', '30s', true),
			set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`, int64(turn))
		return err
	},
	dead: died, full: fullPostgres,
	notify: func(ctx context.Context, d db.DBTX) error {
		_, err := d.ExecContext(ctx, `SELECT pg_notify($1, '')`, channel)
		return err
	},
}

// ParsePostgres reads the URL of a database. The password is none of its parts:
// it is in a file, or in what libpq reads (PGPASSFILE and its like).
func ParsePostgres(text string) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is no URL: write postgres://USER@HOST/DATABASE")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("is neither sqlite nor a URL postgres://USER@HOST/DATABASE")
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return nil, errors.New("holds a password: put it into a file of its own")
	}
	c, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("is not understood: %w", err)
	}
	return c, nil
}

// connections that a pool has at most.
const connections = 4

// died says whether an error is that of a connection which was there and is no
// more: the server did not refuse, and can be asked again on another.
func died(err error) bool {
	var refused *pgconn.PgError
	var unreachable *pgconn.ConnectError
	if errors.As(err, &refused) { // by a shutdown or a crash, which ended the connection
		return refused.Code == "57P01" || refused.Code == "57P02"
	}
	return !errors.As(err, &unreachable)
}

// fullPostgres says whether the server has no room (disk_full).
func fullPostgres(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "53100"
}

func (s *Store) openPostgres(ctx context.Context) error {
	s.dialect = postgres
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	s.dialect.options = []goose.ProviderOption{goose.WithSessionLocker(locker)}
	c, err := ParsePostgres(s.Postgres)
	if err != nil {
		return fmt.Errorf("the database's URL %w", err)
	}
	s.name = c.ConnConfig.Database + " on " + c.ConnConfig.Host
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "patrol"
	}
	c.MaxConns, c.MaxConnLifetime, c.HealthCheckPeriod = connections, 30*time.Minute, 10*time.Second
	c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return s.password(c) }
	if s.writeDB, err = s.pool(ctx, c); err != nil {
		return err
	}
	if s.readDB, err = s.pool(ctx, forPages(c)); err != nil {
		return err
	}
	var version int
	if err := s.readDB.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		// The driver's error has a line for each address that it tried.
		return fmt.Errorf("reach the database %s: %s", s.name, strings.Join(strings.Fields(err.Error()), " "))
	}
	if version < oldest {
		return fmt.Errorf("the database %s is PostgreSQL %d; 14 or newer is needed", s.name, version/10000)
	}
	s.listening = listen(c.ConnConfig, s.password, func() {
		if s.Changed != nil {
			s.Changed()
		}
	})
	return nil
}

// forPages lets PostgreSQL plan as pages need it. They are some hundred rows by an
// index: to start workers for one costs more than it takes. And what is few of one
// organization, or by one name, is very much of another: a plan that was made for
// any of them is a thousand times slower for some.
func forPages(c *pgxpool.Config) *pgxpool.Config {
	c = c.Copy()
	for name, value := range map[string]string{"max_parallel_workers_per_gather": "0", "plan_cache_mode": "force_custom_plan"} {
		if c.ConnConfig.RuntimeParams[name] == "" {
			c.ConnConfig.RuntimeParams[name] = value
		}
	}
	return c
}

func (s *Store) pool(ctx context.Context, c *pgxpool.Config) (*sql.DB, error) {
	p, err := pgxpool.NewWithConfig(ctx, c.Copy())
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", s.name, err)
	}
	s.pools = append(s.pools, p)
	return stdlib.OpenDBFromPool(p), nil
}

// password reads the password's file anew for each connection, so that it can
// be changed while the server runs.
func (s *Store) password(c *pgx.ConnConfig) error {
	if s.PasswordFile == "" {
		return nil
	}
	text, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return fmt.Errorf("read the database's password: %w", err)
	}
	c.Password = strings.TrimRight(string(text), "\r\n")
	return nil
}

// listener hears of changes on a connection of its own, and connects again
// when it is lost.
type listener struct {
	stop context.CancelFunc
	done chan struct{}
}

func listen(c *pgx.ConnConfig, password func(*pgx.ConnConfig) error, heard func()) *listener {
	ctx, stop := context.WithCancel(context.Background())
	l := &listener{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for pause := time.Second; ctx.Err() == nil; {
			started := time.Now()
			_ = hear(ctx, c.Copy(), password, heard) // only a hint: the change log is looked at all the same
			if time.Since(started) > time.Minute {
				pause = time.Second
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, 30*time.Second)
		}
	}()
	return l
}

func hear(ctx context.Context, c *pgx.ConnConfig, password func(*pgx.ConnConfig) error, heard func()) error {
	if err := password(c); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	heard() // of what was told while nobody listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		heard()
	}
}

func (l *listener) close() {
	if l != nil {
		l.stop()
		<-l.done
	}
}
