// Package snapshot holds the inventory in memory, as the decision path reads
// it: an immutable [Snapshot] that a [Follower] keeps fresh from the change log
// and publishes by one pointer. Readers take no lock and wait for nobody.
//
// # Layout
//
// Rows of a kind are numbered and lie in pages of 256. A token's row is 80
// bytes: digest, times, numbers of what it shares with others (owner, grants,
// kind), and where its texts lie. The texts of a page's rows (id, name, last
// four) are one string, so that reading one cuts it and allocates nothing. Rows
// and indexes hold no pointers: the garbage collector does not look into them.
// What is stored between a token and an organization is a row of its own, and
// there is none where nothing is.
//
// An index is open addressing with linear probing over words of hash and
// number: a look-up touches one line of the index, then the row. Sets of grants
// are kept once, with the evaluator's form of them, and counted: one that
// nobody uses goes.
//
// A look-up fills in records in the caller's memory. Their Ref says where the
// snapshot keeps them, so that what is asked of them next needs no search; a Ref
// of another snapshot is noticed and the record is found by its id.
//
// # Change
//
// A change copies the list of pages and each page that it touches, once, and
// shares the rest. Who holds the snapshot before it goes on reading that. A
// deleted token whose access was decided on leaves a row behind, for it may come
// back, and is then what it was.
//
// Loading takes the store's rows one by one ([inventory.Loading]) and indexes
// tokens when all are there. A change that cannot be taken in whole is not
// taken in at all; then everything is loaded anew.
package snapshot
