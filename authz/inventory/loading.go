package inventory

// Loading takes in a whole inventory, row by row, so that nobody has to hold
// all rows at once. A store calls the methods in their order here, each as often
// as it has rows: organizations and users that are there; periods, those of a
// membership one after the other, oldest first; tokens that are not deleted;
// all authorizations; and the latest request of each pair.
//
// A row is the caller's again when the method returns. What it points to (its
// texts, grants and settings) is kept and shared, and must not change any more;
// lists that are equal had better be one. An error ends the loading.
type Loading interface {
	Organization(*Organization) error
	User(*User) error
	Period(*Period) error
	Token(*Token) error
	Authorization(*Authorization) error
	Request(*Request) error
}
