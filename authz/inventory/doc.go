// Package inventory is what patrol keeps of organizations, members, tokens,
// authorizations and approval requests, and the rules of how they change.
//
// The rules are pure: [Apply] takes a state and a [Command] and gives rows, one
// audit entry and events, which a store (package sqlstore) writes in one
// transaction with an entry of the change log. The decision path never reads a
// store: it reads a snapshot (package snapshot) that follows the change log.
package inventory
