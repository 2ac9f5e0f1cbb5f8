package sqlstore

import (
	"slices"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

type findingRow struct{ TokenID, Finding, Severity, Title string }

// lastRow is when a token was last used, and refused.
type lastRow struct {
	TokenID           string
	UsedAt, RefusedAt int64
}

// decorate adds to rows when tokens were last used and refused, and what was found
// of them.
func (s *state) decorate(o *inventory.Organization, rows []inventory.TokenRow) error {
	at := make(map[string]int, len(rows))
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, i
	}
	for part := range slices.Chunk(ids, most) {
		var first []any
		only := ""
		if o != nil {
			first, only = []any{o.ID}, "x.organization_id = $1 AND "
		}
		where, args := in("x.token_id", part, first)
		err := db.Each(s.ctx, s.session, "SELECT x.token_id, max(x.used_at), max(x.refused_at) FROM token_uses x WHERE "+only+where+" GROUP BY x.token_id", args, func(r *lastRow) error {
			row := &rows[at[r.TokenID]]
			row.LastUsedAt, row.LastRefusedAt = optional(fromMillis(r.UsedAt)), optional(fromMillis(r.RefusedAt))
			return nil
		})
		if err == nil && o != nil {
			// No index gives this order: SQLite would read all findings by one of the grade.
			err = db.Each(s.ctx, s.session, "SELECT x.token_id, x.finding, x.severity, x.title FROM findings x WHERE "+only+where+" ORDER BY 0 - x.grade, x.finding", args, func(r *findingRow) error {
				row := &rows[at[r.TokenID]]
				row.Findings = append(row.Findings, r.Finding)
				row.Found = append(row.Found, inventory.Found{Name: r.Finding, Severity: r.Severity, Title: r.Title})
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
