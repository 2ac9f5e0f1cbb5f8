package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// This file is written by hand: reading row by row, and writing many rows at
// once, which sqlc does not do for both databases. It takes the columns from
// what sqlc made, so that a new column needs no change here.

// Columns lists the columns of a model, for queries that are put together.
func Columns[T any](alias string) string {
	t := reflect.TypeFor[T]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = alias + "." + t.Field(i).Tag.Get("db")
	}
	return strings.Join(names, ", ")
}

// Each runs a query whose columns are those of T, and hands each row on. The
// row is used again for the next one.
func Each[T any](ctx context.Context, d DBTX, query string, args []any, f func(*T) error) error {
	rows, err := d.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var row T
	v := reflect.ValueOf(&row).Elem()
	into := make([]any, v.NumField())
	for i := range into {
		into[i] = v.Field(i).Addr().Interface()
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(&row); err != nil {
			return err
		}
	}
	return errors.Join(rows.Close(), rows.Err())
}

// EachPeriod reads all periods, by organization and user, oldest first.
func (q *Queries) EachPeriod(ctx context.Context, f func(*Period) error) error {
	return Each(ctx, q.db, allPeriods, nil, f)
}

// Writing many rows: each takes what the query of its name takes, once a row.
// No two rows of a call may have one key.

func (q *Queries) UpsertOrganizations(ctx context.Context, rows []UpsertOrganizationParams) error {
	return write(ctx, q.db, upsertOrganization, rows)
}

func (q *Queries) UpsertUsers(ctx context.Context, rows []UpsertUserParams) error {
	return write(ctx, q.db, upsertUser, rows)
}

func (q *Queries) UpsertPeriods(ctx context.Context, rows []UpsertPeriodParams) error {
	return write(ctx, q.db, upsertPeriod, rows)
}

func (q *Queries) InsertTokens(ctx context.Context, rows []InsertTokenParams) error {
	return write(ctx, q.db, insertToken, rows)
}

func (q *Queries) InsertNumberedTokens(ctx context.Context, rows []InsertNumberedTokenParams) error {
	return write(ctx, q.db, insertNumberedToken, rows)
}

func (q *Queries) UpsertTokens(ctx context.Context, rows []UpsertTokenParams) error {
	return write(ctx, q.db, upsertToken, rows)
}

func (q *Queries) UpsertReaches(ctx context.Context, rows []UpsertReachParams) error {
	return write(ctx, q.db, upsertReach, rows)
}

func (q *Queries) UpsertAuthorizations(ctx context.Context, rows []UpsertAuthorizationParams) error {
	return write(ctx, q.db, upsertAuthorization, rows)
}

func (q *Queries) UpsertRequests(ctx context.Context, rows []UpsertRequestParams) error {
	return write(ctx, q.db, upsertRequest, rows)
}

func (q *Queries) UpsertAliases(ctx context.Context, rows []UpsertAliasParams) error {
	return write(ctx, q.db, upsertAlias, rows)
}

func (q *Queries) InsertFormers(ctx context.Context, rows []InsertFormerParams) error {
	return write(ctx, q.db, insertFormer, rows)
}

func (q *Queries) InsertTokenVersions(ctx context.Context, rows []InsertTokenVersionParams) error {
	return write(ctx, q.db, insertTokenVersion, rows)
}

func (q *Queries) InsertEvents(ctx context.Context, rows []InsertEventParams) error {
	return write(ctx, q.db, insertEvent, rows)
}

func (q *Queries) InsertChanges(ctx context.Context, rows []InsertChangeParams) error {
	return write(ctx, q.db, insertChange, rows)
}

// ForgetReaches, ReachesByDecision and ReachesOfUnscoped do what the queries of
// the like name do, for many tokens.
func (q *Queries) ForgetReaches(ctx context.Context, tokenIDs []string) error {
	return forEach(ctx, q.db, forgetReach, tokenIDs)
}

func (q *Queries) ReachesByDecision(ctx context.Context, tokenIDs []string) error {
	return forEach(ctx, q.db, reachByDecision, tokenIDs)
}

func (q *Queries) ReachesOfUnscoped(ctx context.Context, tokenIDs []string) error {
	return forEach(ctx, q.db, reachOfUnscoped, tokenIDs)
}

// chunks are how many rows a statement takes; few sizes, so that statements are
// prepared once. A statement of many rows spares the way to PostgreSQL, and in
// SQLite a fifth of the time.
var chunks = []int{100, 10, 1}

// forEach runs a statement about one id, "= $1", for many.
func forEach(ctx context.Context, d DBTX, query string, ids []string) error {
	for _, size := range chunks {
		if len(ids) < size {
			continue
		}
		text := strings.Replace(query, "= $1", "IN ("+Placeholders(1, size)+")", 1)
		for ; len(ids) >= size; ids = ids[size:] {
			args := make([]any, size)
			for i := range size {
				args[i] = ids[i]
			}
			if _, err := d.ExecContext(ctx, text, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func write[P any](ctx context.Context, d DBTX, query string, rows []P) error {
	fields := reflect.TypeFor[P]().NumField()
	same := make([]bool, fields)
	if len(rows) >= chunks[0] {
		same = sameFields(rows)
	}
	for _, size := range chunks {
		if len(rows) < size {
			continue
		}
		text, err := repeat(query, size, same)
		if err != nil {
			return err
		}
		args := make([]any, 0, size*fields)
		for ; len(rows) >= size; rows = rows[size:] {
			args = args[:0]
			for i := range size {
				v := reflect.ValueOf(&rows[i]).Elem()
				for f := range fields {
					if i == 0 || !same[f] {
						args = append(args, v.Field(f).Interface())
					}
				}
			}
			if _, err := d.ExecContext(ctx, text, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameFields says which fields have one value in all rows: it is given once a
// statement.
func sameFields[P any](rows []P) []bool {
	first := reflect.ValueOf(&rows[0]).Elem()
	same := make([]bool, first.NumField())
	for f := range same {
		value := first.Field(f)
		same[f] = value.Comparable()
		for i := 1; i < len(rows) && same[f]; i++ {
			same[f] = reflect.ValueOf(&rows[i]).Elem().Field(f).Equal(value)
		}
	}
	return same
}

var (
	values      = regexp.MustCompile(`VALUES (\([^)]*\))`)
	placeholder = regexp.MustCompile(`\$(\d+)`)
)

// repeat makes an INSERT of one row one of n rows, which have the values of the
// parameters that are the same from the first one.
func repeat(query string, n int, same []bool) (string, error) {
	at := values.FindStringSubmatchIndex(query)
	if at == nil {
		return "", fmt.Errorf("the statement %.40q has no VALUES", query)
	}
	tuple := query[at[2]:at[3]]
	params := len(same)
	if found := len(placeholder.FindAllString(tuple, -1)); found != params {
		return "", fmt.Errorf("the statement %.40q takes %d values, not %d", query, found, params)
	}
	rank, own := make([]int, params), 0 // of the parameters that each row has
	for p := range same {
		if rank[p] = own; !same[p] {
			own++
		}
	}
	var b strings.Builder
	b.WriteString(query[:at[2]])
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(placeholder.ReplaceAllStringFunc(tuple, func(p string) string {
			number, _ := strconv.Atoi(p[1:]) // it is digits
			if i == 0 || same[number-1] {
				return p
			}
			return "$" + strconv.Itoa(params+(i-1)*own+rank[number-1]+1)
		}))
	}
	b.WriteString(query[at[3]:])
	return b.String(), nil
}

// Placeholders is "$from, …" for n values.
func Placeholders(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(list, ", ")
}

var _ DBTX = (*sql.Tx)(nil)
