// Package inventorytest is an inventory in memory, for tests: the rules of
// change can be tried on it without a database, and a store can be compared
// with it command by command.
package inventorytest
