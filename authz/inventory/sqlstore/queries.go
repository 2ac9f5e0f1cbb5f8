package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

func limit(p inventory.Page) int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// beyond is a limit and one more, which tells whether a page follows.
func beyond(p inventory.Page) int32 { return int32(limit(p)) + 1 } //nolint:gosec // at most 1,001

func named(st *state, name string) (*inventory.Organization, error) {
	o, err := st.OrganizationByName(inventory.Fold(name))
	if err == nil && o == nil {
		err = &inventory.NotFound{What: "organization", Name: name}
	}
	return o, err
}

// Organizations lists organizations by name; user namespaces are left out.
func (s *Store) Organizations(ctx context.Context, p inventory.Page) (rows []inventory.OrganizationRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		found, err := st.OrganizationsPage(ctx, db.OrganizationsPageParams{After: p.Cursor, Size: beyond(p)})
		list, err := all(found, err, organizationOf)
		for i, o := range list {
			if i == limit(p) {
				next = rows[i-1].Name
				break
			}
			rows = append(rows, *s.organizationRow(o))
		}
		return err
	})
	return rows, next, err
}

// Organization reads one organization.
func (s *Store) Organization(ctx context.Context, name string) (row *inventory.OrganizationRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, name)
		if err == nil {
			row = s.organizationRow(o)
		}
		return err
	})
	return row, err
}

// Token reads one token, as an organization sees it or whole.
func (s *Store) Token(ctx context.Context, organization, id string) (row *inventory.TokenRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		var o *inventory.Organization
		if organization != "" {
			if o, err = named(st, organization); err != nil {
				return err
			}
		}
		row, err = s.tokenRow(st, o, id)
		if err == nil && row == nil {
			err = &inventory.NotFound{What: "token", Name: id}
		}
		if err != nil {
			return err
		}
		if err := st.answering(o, row); err != nil {
			return err
		}
		rows := []inventory.TokenRow{*row}
		row = &rows[0]
		return st.decorate(o, rows)
	})
	return row, err
}

// FindToken finds a token by the digest of its secret, or of one that it had
// before: then former is true.
func (s *Store) FindToken(ctx context.Context, d authz.Digest) (row *inventory.TokenRow, former bool, err error) {
	err = s.reading(ctx, func(st *state) error {
		t, err := st.TokenByDigest(d)
		if err == nil && t == nil {
			t, err = st.TokenByFormer(d)
			former = t != nil
		}
		if err != nil {
			return err
		}
		if t == nil || t.Deleted {
			return &inventory.NotFound{What: "token", Name: "with this secret"}
		}
		if row, err = s.row(st, nil, t); err != nil {
			return err
		}
		rows := []inventory.TokenRow{*row}
		row = &rows[0]
		return st.decorate(nil, rows)
	})
	return row, former, err
}

var badCursor = &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}

// Audit lists the audit log, newest first; of one organization, or whole.
func (s *Store) Audit(ctx context.Context, organization string, p inventory.Page) (rows []inventory.AuditRow, next string, err error) {
	before := int64(1 << 62)
	if p.Cursor != "" {
		if before, err = strconv.ParseInt(p.Cursor, 10, 64); err != nil {
			return nil, "", badCursor
		}
	}
	err = s.reading(ctx, func(st *state) error {
		found, err := auditPage(st, organization, before, beyond(p))
		for i := range found {
			if i == limit(p) {
				next = strconv.FormatInt(rows[i-1].Seq, 10)
				break
			}
			row, err := auditRow(&found[i])
			if err != nil {
				return err
			}
			rows = append(rows, *row)
		}
		return err
	})
	return rows, next, err
}

// TokenNames are the names of tokens by their ids, of deleted ones too. What is
// not there is left out.
func (s *Store) TokenNames(ctx context.Context, ids []string) (out map[string]inventory.TokenName, err error) {
	out = map[string]inventory.TokenName{}
	err = s.reading(ctx, func(st *state) error {
		for part := range slices.Chunk(ids, most) {
			where, args := in("t.id", part, nil)
			found, err := selectRows(st, "t", "FROM tokens t WHERE "+where, args, tokenOf)
			if err != nil {
				return err
			}
			for _, t := range found {
				out[t.ID] = inventory.TokenName{DisplayName: t.DisplayName, Last4: t.Last4}
			}
		}
		return nil
	})
	return out, err
}

func auditPage(st *state, organization string, before int64, size int32) ([]db.AuditPageRow, error) {
	if organization == "" {
		return st.AuditPage(st.ctx, db.AuditPageParams{Before: before, Size: size})
	}
	o, err := named(st, organization)
	if err != nil {
		return nil, err
	}
	found, err := st.AuditOfOrganizationPage(st.ctx, db.AuditOfOrganizationPageParams{OrganizationID: o.ID, Before: before, Size: size})
	rows := make([]db.AuditPageRow, len(found))
	for i := range found {
		rows[i] = db.AuditPageRow(found[i])
	}
	return rows, err
}

func auditRow(a *db.AuditPageRow) (*inventory.AuditRow, error) {
	row := &inventory.AuditRow{
		Seq: a.Seq, Time: fromMillis(a.Time), Actor: inventory.Actor{Kind: a.ActorKind, Name: a.ActorName}, Action: a.Action,
		Organization: a.Organization, Token: a.TokenID,
	}
	return row, decode("details", a.Details, &row.Details)
}

// PoliciesInUse lists the token policies that organizations have chosen, for
// now or from a date on.
func (s *Store) PoliciesInUse(ctx context.Context) ([]string, error) {
	names, err := db.New(s.readDB).PoliciesInUse(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the policies in use: %w", err)
	}
	return names, nil
}

// Pending is an organization's review queue.
type Pending struct {
	Organization string
	Count        int
	Oldest       time.Time
}

// PendingApprovals counts the open requests of each organization.
func (s *Store) PendingApprovals(ctx context.Context) ([]Pending, error) {
	rows, err := db.New(s.readDB).CountRequests(ctx, authz.RequestOpen)
	if err != nil {
		return nil, fmt.Errorf("count the open requests: %w", err)
	}
	out := make([]Pending, len(rows))
	for i, r := range rows {
		out[i] = Pending{r.Name, int(r.Waiting), fromMillis(r.Oldest)}
	}
	return out, nil
}
