// Package sqlstore keeps the inventory in SQLite or PostgreSQL (14 or newer).
// Every command is one transaction: rows, audit entry, outbox and change log
// are written together or not at all, and what was acknowledged is on the disk.
//
// # One writer at a time
//
// A command reads before it writes, so commands are carried out one after the
// other: in SQLite by BEGIN IMMEDIATE, in PostgreSQL by an advisory lock. A
// change's number, and the audit chain's head beside it, come from the counter
// row, which is the transaction's last statement: whoever reads up to a number
// has read all that was committed before it. Polling the counter is the truth;
// PostgreSQL's NOTIFY is a hint (Options.Changed). Parts of a long import that wait
// for their turn in SQLite have it together (queue.go): one transaction, and a change
// of its own for each.
//
// SQLite has no unique index of digests, only one of how they begin: a command looks
// for the whole digest before it writes, in the same transaction or, where an import
// was foreseen, by what was brought since.
//
// # Adding a column or a table
//
//  1. A migration of the next number in migrations/postgres and the same in
//     migrations/sqlite, up and down. Times are milliseconds (BIGINT, INTEGER),
//     flags BOOLEAN and INTEGER, JSON is TEXT; what is compared or ordered is
//     COLLATE "C" in PostgreSQL. A new column stands last, with a default.
//  2. The queries, in queries/*.sql: PostgreSQL's dialect with $1, as far as
//     SQLite understands it: no ::casts (CAST(x AS BIGINT)), no arrays, no
//     now(), NOT flag rather than flag = 0, ON CONFLICT (columns). SELECT *
//     takes a new column up by itself; an Upsert names it.
//  3. make generate. The test TestGeneratedCodeIsUpToDate holds db/ to it.
//  4. Between rows and records: convert.go reads, write.go writes. Writing many
//     rows at once (db/rows.go) follows what sqlc made.
//  5. A new kind of record: a query Changed… and All… (queries/changes.sql), both
//     read in feed.go, and touch in write.go.
//  6. A case in package storetest, which both databases have to pass.
//
// Queries that are put together (listing.go, ahead.go) use the same subset of SQL.
package sqlstore
