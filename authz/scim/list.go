package scim

import (
	"maps"
	"strings"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	libfilter "github.com/elimity-com/scim/filter"
	"github.com/scim2/filter-parser/v2"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// list is a page of users or groups, by their ids.
func list(d inventory.Directory, kind string, p lib.ListRequestParams, show func(*inventory.Provisioned) (lib.Resource, error)) (page lib.Page, err error) {
	page.Resources = []lib.Resource{}
	add := func(rows []*inventory.Provisioned) error {
		for _, one := range rows {
			r, err := show(one)
			if err != nil {
				return err
			}
			page.Resources = append(page.Resources, r)
		}
		return nil
	}
	skip := max(p.StartIndex, 1) - 1
	if p.FilterValidator == nil {
		if page.TotalResults, err = d.Count(kind); err != nil || p.Count == 0 {
			return page, err
		}
		rows, err := d.Page(kind, skip, p.Count)
		if err == nil {
			err = add(rows)
		}
		return page, err
	}
	rows, err := matching(d, kind, p.FilterValidator, show)
	if err != nil {
		return page, err
	}
	page.TotalResults = len(rows)
	rows = rows[min(skip, len(rows)):]
	return page, add(rows[:min(p.Count, len(rows))])
}

// matching finds what a filter lets through: what directories ask for by an
// index, other filters by looking at each.
func matching(d inventory.Directory, kind string, v *libfilter.Validator, show func(*inventory.Provisioned) (lib.Resource, error)) ([]*inventory.Provisioned, error) {
	if rows, indexed, err := looked(d, kind, v.GetFilter()); indexed || err != nil {
		return rows, err
	}
	if n, err := d.Count(kind); err != nil {
		return nil, err
	} else if n > maxInMemory {
		return nil, scimerrors.ScimErrorTooMany
	}
	all, err := d.Page(kind, 0, maxInMemory)
	if err != nil {
		return nil, err
	}
	var out []*inventory.Provisioned
	for _, one := range all {
		r, err := show(one)
		if err != nil {
			return nil, err
		}
		attributes := maps.Clone(r.Attributes)
		attributes["id"] = one.ID
		if one.ExternalID != "" {
			attributes["externalId"] = one.ExternalID
		}
		if v.PassesFilter(attributes) == nil {
			out = append(out, one)
		}
	}
	return out, nil
}

// looked answers `userName eq "…"` and the like.
func looked(d inventory.Directory, kind string, e filter.Expression) (rows []*inventory.Provisioned, indexed bool, err error) {
	eq, ok := e.(*filter.AttributeExpression)
	if !ok || eq.Operator != filter.EQ || eq.AttributePath.SubAttributeName() != "" {
		return nil, false, nil
	}
	value, ok := eq.CompareValue.(string)
	if !ok {
		return nil, false, nil
	}
	var one *inventory.Provisioned
	switch attribute := strings.ToLower(eq.AttributePath.AttributeName); {
	case attribute == "externalid":
		rows, err = d.ByExternal(kind, value)
		return rows, true, err
	case attribute == "id":
		one, err = d.ByID(kind, value)
	case attribute == "username" && kind == inventory.KindUser, attribute == "displayname" && kind == inventory.KindGroup:
		one, err = d.ByName(kind, fold(value))
	default:
		return nil, false, nil
	}
	if one != nil {
		rows = append(rows, one)
	}
	return rows, true, err
}
