package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/usage"
)

// usageSince is when usage was first written.
const usageSince = "usage_since"

// maxDiscovered bounds the unknown tokens that are kept of an organization.
const maxDiscovered = 10_000

// WriteUsage adds a batch of usage, in one transaction. It does not take the
// turn of commands: adding up does not depend on what it adds to.
func (s *Store) WriteUsage(ctx context.Context, b *usage.Batch) error {
	o := s.dialect.writing
	tx, err := s.writeDB.BeginTx(ctx, &o)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	if err := st.SetMetaOnce(ctx, db.SetMetaOnceParams{Name: usageSince, Value: strconv.FormatInt(millis(s.Clock()), 10)}); err != nil {
		return err
	}
	if err := st.addCounts(b); err != nil {
		return err
	}
	if err := st.addUnknown(b.Unknown); err != nil {
		return fmt.Errorf("write unknown tokens: %w", err)
	}
	st.close()
	return tx.Commit()
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

// addUnknown writes unknown tokens: new ones while their organization has not
// too many.
func (s *state) addUnknown(list []usage.Unknown) error {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Organization == list[0].Organization {
			n++
		}
		part := list[:n]
		list = list[n:]
		have, err := s.CountDiscovered(s.ctx, part[0].Organization)
		if err != nil {
			return err
		}
		if have+int64(n) <= maxDiscovered {
			rows := make([]db.AddDiscoveredParams, n)
			for i := range part {
				rows[i] = discoveredRow(&part[i])
			}
			if err := s.AddDiscoveries(s.ctx, rows); err != nil {
				return err
			}
			continue
		}
		for i := range part {
			u := &part[i]
			if err := s.RaiseDiscovered(s.ctx, db.RaiseDiscoveredParams{More: u.Count, LastAt: millis(u.Last), OrganizationID: u.Organization, Digest: u.Digest[:]}); err != nil {
				return err
			}
		}
	}
	return nil
}

func discoveredRow(u *usage.Unknown) db.AddDiscoveredParams {
	return db.AddDiscoveredParams{
		OrganizationID: u.Organization, Digest: u.Digest[:], Host: u.Host, Network: u.Network, Permission: u.Permission,
		Requests: u.Count, FirstAt: millis(u.First), LastAt: millis(u.Last),
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
