// Package auditlog is the audit's chain: what an entry's hash covers, how heads
// are signed, and how a changed, removed, moved or cut-off entry is found. It
// is pure: stores keep entries and heads, commands and the API read them.
package auditlog
