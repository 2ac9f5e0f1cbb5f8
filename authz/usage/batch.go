package usage

import (
	"cmp"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Other stands for the values that were too many to keep apart: of resources,
// and of networks. No resource and no network is called so.
const Other = "*"

// Reasons that usage knows beside those of the catalogue.
const (
	// ReasonDisabled: a token that is disabled everywhere was sent.
	ReasonDisabled = "token_disabled"
	// ReasonSeenInQuery: a token's secret was in a query string.
	ReasonSeenInQuery = "seen_in_query"
)

// Day is a day of UTC, counted from 1970-01-01.
type Day int32

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

// Time returns the day's beginning.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Key says what is counted together.
type Key struct {
	Day          Day
	Token        string // id
	Organization string // id; "" where the request was about none that is known
	ResourceType string
	Resource     string // its name with the namespace, [Other], or ""
	Permission   string
	Network      string // /24 of IPv4, /48 of IPv6, [Other], or ""
	Reason       string
	Allowed      bool
}

// Count is how often requests of one key came, and when.
type Count struct {
	Key
	Count       int64
	First, Last time.Time
}

// Use is when a token was last used at an organization. A time is zero where
// nothing of its kind came since the last batch.
type Use struct {
	Token        string
	Organization string
	Allowed      time.Time
	Refused      time.Time
}

// Unknown is a token that is not in the inventory, seen at an organization that
// only observes.
type Unknown struct {
	Organization string // id
	Digest       authz.Digest
	Host         string
	Network      string
	Permission   string
	Count        int64
	First, Last  time.Time
}

// Batch is what was gathered since the batch before, in a fixed order: stores
// that write batches at once, each in one transaction, do not lock each other.
type Batch struct {
	Counts  []Count
	Uses    []Use
	Unknown []Unknown
}

// split orders what was gathered and makes batches of it, of at most so many
// counts and as many unknown tokens.
func (b *Batch) split(most int) []*Batch {
	b.order()
	var out []*Batch
	for len(b.Counts) > 0 || len(b.Unknown) > 0 {
		n, m := min(most, len(b.Counts)), min(most, len(b.Unknown))
		part := &Batch{Counts: b.Counts[:n], Unknown: b.Unknown[:m]}
		b.Counts, b.Unknown = b.Counts[n:], b.Unknown[m:]
		part.derive()
		out = append(out, part)
	}
	return out
}

func (b *Batch) order() {
	slices.SortFunc(b.Counts, func(x, y Count) int { return compare(&x.Key, &y.Key) })
	slices.SortFunc(b.Unknown, func(x, y Unknown) int {
		return cmp.Or(cmp.Compare(x.Organization, y.Organization), slices.Compare(x.Digest[:], y.Digest[:]))
	})
}

// derive finds out from counts when tokens were last used.
func (b *Batch) derive() {
	at := map[[2]string]int{}
	for i := range b.Counts {
		c := &b.Counts[i]
		k := [2]string{c.Token, c.Organization}
		n, ok := at[k]
		if !ok {
			n = len(b.Uses)
			at[k], b.Uses = n, append(b.Uses, Use{Token: c.Token, Organization: c.Organization})
		}
		u := &b.Uses[n]
		if c.Allowed {
			u.Allowed = later(u.Allowed, c.Last)
		} else {
			u.Refused = later(u.Refused, c.Last)
		}
	}
	slices.SortFunc(b.Uses, func(x, y Use) int {
		return cmp.Or(cmp.Compare(x.Token, y.Token), cmp.Compare(x.Organization, y.Organization))
	})
}

func compare(x, y *Key) int {
	return cmp.Or(
		cmp.Compare(x.Token, y.Token), cmp.Compare(x.Organization, y.Organization), cmp.Compare(x.Day, y.Day),
		cmp.Compare(x.ResourceType, y.ResourceType), cmp.Compare(x.Resource, y.Resource), cmp.Compare(x.Permission, y.Permission),
		cmp.Compare(x.Network, y.Network), cmp.Compare(x.Reason, y.Reason),
	)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
