// Package sqlstore keeps the inventory in SQLite. Every command is one
// transaction: rows, audit entry, outbox and change log are written together or
// not at all, and what was acknowledged is on the disk.
package sqlstore
