package sqlstore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// tokens writes tokens, and which organizations list them.
func (w *writer) tokens(list []*inventory.Token, owner func(id string) string) {
	fresh, reach := make([]db.InsertNumberedTokenParams, 0, len(list)), make([]db.UpsertReachParams, 0, len(list))
	var known []db.UpsertTokenParams
	var formers []db.InsertFormerParams
	var changed, unscoped []string
	for _, t := range list {
		// What was not read before is not there.
		row, isFresh := w.tokenRow(t), w.numbers[t.ID] == 0
		if isFresh {
			w.then(func() (err error) { row.Number, err = w.nextNumber(t.ID, &w.tokenNumbers); return err })
			fresh, w.made = append(fresh, row), append(w.made, t.ID)
		} else {
			row.Number = w.numbers[t.ID]
			known, changed = append(known, db.UpsertTokenParams(row)), append(changed, t.ID)
			w.touch("token", t.ID, "")
		}
		for _, f := range t.Former {
			formers = append(formers, db.InsertFormerParams{Digest: f.Digest[:], TokenID: t.ID})
		}
		if t.Deleted {
			continue
		}
		if t.Kind != authz.KindFineGrained {
			unscoped = append(unscoped, t.ID)
		}
		for _, organization := range t.Namespaces() {
			reach = append(reach, db.UpsertReachParams{
				Organization: w.organizationNumber(organization), Token: row.Number, Name: row.Name, Owner: owner(t.OwnerID), CreatedAt: row.CreatedAt,
			})
		}
	}
	w.then(func() error { return w.insertTokens(fresh) })
	w.then(func() error { return w.UpsertTokens(w.ctx, known) })
	w.then(func() error { return w.InsertFormers(w.ctx, formers) })
	w.then(func() error { return w.ForgetReaches(w.ctx, changed) })
	w.then(func() error { return w.ReachesByDecision(w.ctx, changed) })
	w.then(func() error { return w.ReachesOfUnscoped(w.ctx, unscoped) })
	slices.SortStableFunc(reach, func(a, b db.UpsertReachParams) int { return cmp.Compare(a.Organization, b.Organization) }) // neighbours lie on one page
	w.then(func() error { return w.UpsertReaches(w.ctx, reach) })
}

// insertTokens writes new tokens. SQLite gives their numbers by itself: it keeps a
// copy of each page that a statement writes which gives them.
func (w *writer) insertTokens(list []db.InsertNumberedTokenParams) error {
	if !w.dialect.numbers || len(list) == 0 {
		return w.InsertNumberedTokens(w.ctx, list)
	}
	rows := make([]db.InsertTokenParams, len(list))
	for i := range list {
		r := &list[i]
		rows[i] = db.InsertTokenParams{
			ID: r.ID, Digest: r.Digest, DisplayName: r.DisplayName, Last4: r.Last4, Kind: r.Kind, OwnerID: r.OwnerID, Source: r.Source, Grants: r.Grants,
			Global: r.Global, Purpose: r.Purpose, Contact: r.Contact, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, Disabled: r.Disabled, Deleted: r.Deleted,
			Version: r.Version, Former: r.Former, Owner: r.Owner, Name: r.Name, DigestStart: r.DigestStart,
		}
	}
	if err := w.InsertTokens(w.ctx, rows); err != nil {
		return err
	}
	n, err := w.LastToken(w.ctx)
	if err == nil && n != w.tokenNumbers.n {
		err = fmt.Errorf("the last token's number is %d, not %d", n, w.tokenNumbers.n)
	}
	return err
}

func (w *writer) tokenRow(t *inventory.Token) db.InsertNumberedTokenParams {
	row := db.InsertNumberedTokenParams{
		ID: t.ID, Digest: t.Digest[:], DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, OwnerID: t.OwnerID, Source: t.Source,
		Grants: w.grants(t.Grants), Global: w.json(t.Global), Purpose: t.Purpose, Contact: t.Contact, CreatedAt: millis(t.CreatedAt),
		ExpiresAt: millis(t.ExpiresAt), Disabled: t.Disabled, Deleted: t.Deleted, Version: t.Version, Former: w.formers(t), Name: lower(t.DisplayName), DigestStart: startOf(t.Digest),
	}
	w.then(func() (err error) { row.Owner, err = w.numbered(t.OwnerID, w.UserNumber); return err })
	return row
}

func (w *writer) organizationNumber(id string) (n int64) {
	w.then(func() (err error) { n, err = w.numbered(id, w.OrganizationNumber); return err })
	return n
}

// formers is empty for the many tokens that were never rotated.
func (w *writer) formers(t *inventory.Token) string {
	if len(t.Former) == 0 {
		return ""
	}
	return w.json(t.Former)
}
