package scim

import (
	"net/http"
	"strings"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// users are the endpoint /Users.
type users struct{ *endpoint }

// user is one with the groups that it is in.
type user struct {
	*inventory.Provisioned
	groups []*inventory.Provisioned
}

func (u *user) shown() lib.Resource {
	attributes := cloned(u.Attributes)
	if _, there := attributes["active"]; !there {
		attributes["active"] = true
	}
	groups := []any{}
	for _, g := range u.groups {
		groups = append(groups, map[string]any{"value": g.ID, "display": text(g.Attributes, "displayName"), "type": "direct"})
	}
	if len(groups) > 0 {
		attributes["groups"] = groups
	}
	return shown(u.Provisioned, attributes)
}

func (h *users) find(d inventory.Directory, id string) (*user, error) {
	p, err := d.ByID(inventory.KindUser, id)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, scimerrors.ScimErrorResourceNotFound(id)
	}
	groups, err := d.GroupsOf(id)
	return &user{p, groups}, err
}

// Create implements lib.ResourceHandler.
func (h *users) Create(r *http.Request, attributes lib.ResourceAttributes) (lib.Resource, error) {
	if err := bounded(attributes); err != nil {
		return lib.Resource{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name := text(attributes, "userName")
	subject, err := h.subject(name)
	if err != nil {
		return lib.Resource{}, h.told(err)
	}
	p, err := h.fresh(inventory.KindUser, name, text(attributes, "externalId"), attributes)
	if err != nil {
		return lib.Resource{}, h.told(err)
	}
	p.Subject = subject
	err = h.read(r.Context(), func(d inventory.Directory) error {
		for _, find := range []func() (*inventory.Provisioned, error){
			func() (*inventory.Provisioned, error) { return d.ByName(inventory.KindUser, p.Name) },
			func() (*inventory.Provisioned, error) { return d.BySubject(subject) },
		} {
			if other, err := find(); err != nil {
				return err
			} else if other != nil {
				return scimerrors.ScimErrorUniqueness
			}
		}
		return nil
	})
	if err == nil {
		err = h.told(h.settle(r.Context(), p, nil))
	}
	if err == nil {
		err = h.write(r.Context(), func(d inventory.Directory) error { return put(d, p) })
	}
	return (&user{Provisioned: p}).shown(), err
}

// Get implements lib.ResourceHandler.
func (h *users) Get(r *http.Request, id string) (found lib.Resource, err error) {
	err = h.read(r.Context(), func(d inventory.Directory) error {
		u, err := h.find(d, id)
		if err == nil {
			found = u.shown()
		}
		return err
	})
	return found, err
}

// GetAll implements lib.ResourceHandler.
func (h *users) GetAll(r *http.Request, p lib.ListRequestParams) (page lib.Page, err error) {
	err = h.read(r.Context(), func(d inventory.Directory) error {
		page, err = list(d, inventory.KindUser, p, func(one *inventory.Provisioned) (lib.Resource, error) {
			groups, err := d.GroupsOf(one.ID)
			return (&user{one, groups}).shown(), err
		})
		return err
	})
	return page, err
}

// Replace implements lib.ResourceHandler.
func (h *users) Replace(r *http.Request, id string, attributes lib.ResourceAttributes) (lib.Resource, error) {
	return h.change(r, id, func(map[string]any) (map[string]any, error) { return attributes, nil })
}

// Patch implements lib.ResourceHandler.
func (h *users) Patch(r *http.Request, id string, operations []lib.PatchOperation) (lib.Resource, error) {
	return h.change(r, id, func(present map[string]any) (map[string]any, error) {
		return present, patchAll(r.Context(), present, operations, userSchema)
	})
}

func (h *users) change(r *http.Request, id string, edit func(map[string]any) (map[string]any, error)) (lib.Resource, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var u *user
	err := h.read(r.Context(), func(d inventory.Directory) (err error) {
		if u, err = h.find(d, id); err == nil {
			err = atVersion(r, u.Provisioned)
		}
		return err
	})
	if err != nil {
		return lib.Resource{}, err
	}
	present := cloned(u.Attributes)
	present["externalId"] = u.ExternalID
	attributes, err := edit(present)
	if err == nil {
		err = bounded(attributes)
	}
	if err != nil {
		return lib.Resource{}, err
	}
	name := text(attributes, "userName")
	if strings.TrimSpace(name) == "" {
		return lib.Resource{}, invalidValue("userName: is missing")
	}
	after := h.changed(u.Provisioned, name, text(attributes, "externalId"), attributes)
	if err := h.told(h.settle(r.Context(), after, u.groups)); err != nil {
		return lib.Resource{}, err
	}
	err = h.write(r.Context(), func(d inventory.Directory) error { return put(d, after) })
	return (&user{after, u.groups}).shown(), err
}

// Delete implements lib.ResourceHandler. The user stays in the inventory, with
// the history of the membership.
func (h *users) Delete(r *http.Request, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var u *user
	err := h.read(r.Context(), func(d inventory.Directory) (err error) {
		if u, err = h.find(d, id); err == nil {
			err = atVersion(r, u.Provisioned)
		}
		return err
	})
	if err == nil {
		err = h.told(h.leave(r.Context(), u.Subject))
	}
	if err == nil {
		err = h.write(r.Context(), func(d inventory.Directory) error { return d.Delete(inventory.KindUser, id) })
	}
	return err
}
