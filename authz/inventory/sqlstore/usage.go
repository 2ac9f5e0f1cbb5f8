package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/usage"
)

// usageSince is when usage was first written.
const usageSince = "usage_since"

// maxDiscovered bounds the unknown tokens that are kept of an organization.
const maxDiscovered = 10_000

// WriteUsage adds a batch of usage, in one transaction, and returns the unknown
// tokens for which there was no room. It does not take the turn of commands:
// adding up does not depend on what it adds to.
func (s *Store) WriteUsage(ctx context.Context, b *usage.Batch) (left []usage.Unknown, err error) {
	o := s.dialect.writing
	tx, err := s.writeDB.BeginTx(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	if err := st.SetMetaOnce(ctx, db.SetMetaOnceParams{Name: usageSince, Value: strconv.FormatInt(millis(s.Clock()), 10)}); err != nil {
		return nil, err
	}
	if err := st.addCounts(b); err != nil {
		return nil, err
	}
	if left, err = st.addUnknown(b.Unknown); err != nil {
		return nil, fmt.Errorf("write unknown tokens: %w", err)
	}
	st.close()
	return left, tx.Commit()
}

func (s *state) addCounts(b *usage.Batch) error {
	counts := make([]db.AddUsageParams, len(b.Counts))
	for i := range b.Counts {
		c := &b.Counts[i]
		counts[i] = db.AddUsageParams{
			TokenID: c.Token, OrganizationID: c.Organization, Day: int64(c.Day), ResourceType: c.ResourceType, Resource: c.Resource,
			Permission: c.Permission, Network: c.Network, Reason: c.Reason, Allowed: c.Allowed, Requests: c.Count, FirstAt: millis(c.First), LastAt: millis(c.Last),
		}
	}
	if err := s.AddUsages(s.ctx, counts); err != nil {
		return err
	}
	uses := make([]db.AddTokenUseParams, len(b.Uses))
	for i, u := range b.Uses {
		uses[i] = db.AddTokenUseParams{TokenID: u.Token, OrganizationID: u.Organization, UsedAt: millis(u.Allowed), RefusedAt: millis(u.Refused)}
	}
	if err := s.AddTokenUses(s.ctx, uses); err != nil {
		return err
	}
	for _, sum := range sumDays(b) {
		if err := s.AddOrganizationUse(s.ctx, sum); err != nil {
			return err
		}
	}
	return nil
}

// addUnknown writes unknown tokens, and returns the new ones of which their
// organization has too many: the most used ones have what room there is. Several
// replicas at once may exceed it by what each wrote.
func (s *state) addUnknown(list []usage.Unknown) (left []usage.Unknown, err error) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Organization == list[0].Organization {
			n++
		}
		part, more, err := s.withinRoom(list[:n])
		if err != nil {
			return nil, err
		}
		left = append(left, more...)
		list = list[n:]
		rows := make([]db.AddDiscoveredParams, len(part))
		for i := range part {
			rows[i] = discoveredRow(&part[i])
		}
		if err := s.AddDiscoveries(s.ctx, rows); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// withinRoom are those of one organization's unknown tokens that are kept of it
// already, and the new ones for which there is room, in the order of list; left
// are all others.
func (s *state) withinRoom(list []usage.Unknown) (kept, left []usage.Unknown, err error) {
	organization := list[0].Organization
	room, err := s.roomForUnknown(organization)
	if err != nil || len(list) <= room {
		return list, nil, err
	}
	// Those that were imported are unknown no more, and need no room.
	if err := s.ForgetImported(s.ctx, organization); err != nil {
		return nil, nil, err
	}
	if room, err = s.roomForUnknown(organization); err != nil {
		return nil, nil, err
	}
	known := map[authz.Digest]bool{}
	for part := range slices.Chunk(list, most) {
		digests := make([][]byte, len(part))
		for i := range part {
			digests[i] = part[i].Digest[:]
		}
		where, args := in("d.digest", digests, []any{organization})
		err := db.Each(s.ctx, s.session, "SELECT d.digest FROM discovered d WHERE d.organization_id = $1 AND "+where, args, func(d *digestRow) error {
			known[authz.Digest(d.Digest)] = true
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	byUse := slices.Clone(list)
	slices.SortStableFunc(byUse, func(x, y usage.Unknown) int { return cmp.Compare(y.Count, x.Count) })
	for i := range byUse {
		if !known[byUse[i].Digest] && room > 0 {
			known[byUse[i].Digest] = true
			room--
		}
	}
	for _, u := range list {
		if known[u.Digest] {
			kept = append(kept, u)
		} else {
			left = append(left, u)
		}
	}
	return kept, left, nil
}

func (s *state) roomForUnknown(organization string) (int, error) {
	n, err := s.CountDiscovered(s.ctx, organization)
	return max(0, maxDiscovered-int(n)), err
}

func discoveredRow(u *usage.Unknown) db.AddDiscoveredParams {
	return db.AddDiscoveredParams{
		OrganizationID: u.Organization, Digest: u.Digest[:], Host: u.Host, Network: u.Network, Permission: u.Permission,
		Requests: u.Count, FirstAt: millis(u.First), LastAt: millis(u.Last), DigestStart: startOf(u.Digest),
	}
}

// ForgetUsage deletes the usage of the days before one, and unknown tokens that
// were not seen since.
func (s *Store) ForgetUsage(ctx context.Context, before usage.Day) error {
	q := db.New(s.writeDB)
	if err := q.ForgetUsage(ctx, int64(before)); err != nil {
		return fmt.Errorf("delete old usage: %w", err)
	}
	if err := q.ForgetOrganizationUse(ctx, int64(before)); err != nil {
		return fmt.Errorf("delete old usage: %w", err)
	}
	if err := q.ForgetDiscovered(ctx, millis(before.Time())); err != nil {
		return fmt.Errorf("delete unknown tokens that are gone: %w", err)
	}
	return nil
}

// usageKnown is from when on usage is known; zero where there is none.
func (s *state) usageKnown() (time.Time, error) {
	text, err := s.MetaValue(s.ctx, usageSince)
	if missing(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return fromMillis(ms), err
}
