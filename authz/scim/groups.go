package scim

import (
	"context"
	"net/http"
	"slices"
	"strings"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// groups are the endpoint /Groups.
type groups struct{ *endpoint }

// group is one with the users in it.
type group struct {
	*inventory.Provisioned
	members []*inventory.Provisioned
}

func (g *group) shown(r *http.Request) lib.Resource {
	attributes := cloned(g.Attributes)
	if !strings.Contains(strings.ToLower(r.URL.Query().Get("excludedAttributes")), "members") {
		attributes["members"] = g.list()
	}
	return shown(g.Provisioned, attributes)
}

func (g *group) list() []any {
	members := []any{}
	for _, m := range g.members {
		members = append(members, map[string]any{"value": m.ID, "display": text(m.Attributes, "userName"), "type": "User"})
	}
	return members
}

func (h *groups) find(d inventory.Directory, id string) (*group, error) {
	p, err := d.ByID(inventory.KindGroup, id)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, scimerrors.ScimErrorResourceNotFound(id)
	}
	members, err := d.Members(id)
	return &group{p, members}, err
}

// Create implements lib.ResourceHandler.
func (h *groups) Create(r *http.Request, attributes lib.ResourceAttributes) (lib.Resource, error) {
	if err := bounded(attributes); err != nil {
		return lib.Resource{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := h.fresh(inventory.KindGroup, text(attributes, "displayName"), text(attributes, "externalId"), attributes)
	if err != nil {
		return lib.Resource{}, h.told(err)
	}
	return h.keep(r, &group{Provisioned: p}, p, attributes["members"])
}

// Get implements lib.ResourceHandler.
func (h *groups) Get(r *http.Request, id string) (found lib.Resource, err error) {
	err = h.read(r.Context(), func(d inventory.Directory) error {
		g, err := h.find(d, id)
		if err == nil {
			found = g.shown(r)
		}
		return err
	})
	return found, err
}

// GetAll implements lib.ResourceHandler.
func (h *groups) GetAll(r *http.Request, p lib.ListRequestParams) (page lib.Page, err error) {
	err = h.read(r.Context(), func(d inventory.Directory) error {
		page, err = list(d, inventory.KindGroup, p, func(one *inventory.Provisioned) (lib.Resource, error) {
			members, err := d.Members(one.ID)
			return (&group{one, members}).shown(r), err
		})
		return err
	})
	return page, err
}

// Replace implements lib.ResourceHandler.
func (h *groups) Replace(r *http.Request, id string, attributes lib.ResourceAttributes) (lib.Resource, error) {
	return h.change(r, id, func(map[string]any) (map[string]any, error) { return attributes, nil })
}

// Patch implements lib.ResourceHandler.
func (h *groups) Patch(r *http.Request, id string, operations []lib.PatchOperation) (lib.Resource, error) {
	return h.change(r, id, func(present map[string]any) (map[string]any, error) {
		return present, patchAll(r.Context(), present, operations, groupSchema)
	})
}

func (h *groups) change(r *http.Request, id string, edit func(map[string]any) (map[string]any, error)) (lib.Resource, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, err := h.present(r, id)
	if err != nil {
		return lib.Resource{}, err
	}
	present := cloned(g.Attributes)
	present["externalId"], present["members"] = g.ExternalID, g.list()
	attributes, err := edit(present)
	if err == nil {
		err = bounded(attributes)
	}
	if err != nil {
		return lib.Resource{}, err
	}
	after := h.changed(g.Provisioned, text(attributes, "displayName"), text(attributes, "externalId"), attributes)
	return h.keep(r, g, after, attributes["members"])
}

// present reads a group, and holds the request to its version.
func (h *groups) present(r *http.Request, id string) (g *group, err error) {
	err = h.read(r.Context(), func(d inventory.Directory) error {
		if g, err = h.find(d, id); err == nil {
			err = atVersion(r, g.Provisioned)
		}
		return err
	})
	return g, err
}

// keep makes the memberships what follows from a group, then keeps it.
func (h *groups) keep(r *http.Request, before *group, after *inventory.Provisioned, members any) (lib.Resource, error) {
	if after.Name == "" {
		return lib.Resource{}, invalidValue("displayName: is missing")
	}
	next := &group{Provisioned: after}
	var affected []*user
	err := h.read(r.Context(), func(d inventory.Directory) (err error) {
		if other, err := d.ByName(inventory.KindGroup, after.Name); err != nil {
			return err
		} else if other != nil && other.ID != after.ID {
			return scimerrors.ScimErrorUniqueness
		}
		if next.members, err = chosen(d, members); err == nil {
			affected, err = concerned(d, before, next)
		}
		return err
	})
	if err == nil {
		err = h.told(h.settleAll(r.Context(), affected))
	}
	if err != nil {
		return lib.Resource{}, err
	}
	err = h.write(r.Context(), func(d inventory.Directory) error {
		if err := put(d, after); err != nil {
			return err
		}
		for _, m := range before.members {
			if err := d.Leave(after.ID, m.ID); err != nil {
				return err
			}
		}
		for _, m := range next.members {
			if err := d.Join(after.ID, m.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return next.shown(r), err
}

// chosen are the users that a list of members names.
func chosen(d inventory.Directory, members any) (out []*inventory.Provisioned, err error) {
	seen := map[string]bool{}
	for _, one := range asList(members) {
		m, _ := one.(map[string]any)
		id := text(m, "value")
		if seen[id] {
			continue
		}
		seen[id] = true
		u, err := d.ByID(inventory.KindUser, id)
		if err != nil {
			return nil, err
		}
		if u == nil {
			return nil, invalidValue("members: one is no user of this organization's directory")
		}
		out = append(out, u)
	}
	return out, nil
}

// concerned are the users of a group before and after, with the groups that they
// are in afterwards.
func concerned(d inventory.Directory, before, after *group) (out []*user, err error) {
	joined := func(id string) bool {
		return after != nil && slices.ContainsFunc(after.members, func(m *inventory.Provisioned) bool { return m.ID == id })
	}
	all := slices.Clone(before.members)
	if after != nil {
		all = append(all, after.members...)
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.ID] {
			continue
		}
		seen[m.ID] = true
		in, err := d.GroupsOf(m.ID)
		if err != nil {
			return nil, err
		}
		in = slices.DeleteFunc(in, func(g *inventory.Provisioned) bool { return g.ID == before.ID })
		if joined(m.ID) {
			in = append(in, after.Provisioned)
		}
		out = append(out, &user{m, in})
	}
	return out, nil
}

func (h *groups) settleAll(ctx context.Context, affected []*user) error {
	for _, u := range affected {
		if err := h.settle(ctx, u.Provisioned, u.groups); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements lib.ResourceHandler.
func (h *groups) Delete(r *http.Request, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, err := h.present(r, id)
	if err != nil {
		return err
	}
	var affected []*user
	err = h.read(r.Context(), func(d inventory.Directory) (err error) {
		affected, err = concerned(d, g, nil)
		return err
	})
	if err == nil {
		err = h.told(h.settleAll(r.Context(), affected))
	}
	if err == nil {
		err = h.write(r.Context(), func(d inventory.Directory) error { return d.Delete(inventory.KindGroup, id) })
	}
	return err
}
