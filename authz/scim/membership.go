package scim

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/google/uuid"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// settle makes a user's membership what follows from the directory. It comes
// before what the directory gave is kept: where it fails, a directory that tries
// again meets what was, and does all of it again.
func (e *endpoint) settle(ctx context.Context, u *inventory.Provisioned, groups []*inventory.Provisioned) error {
	role := ""
	if active(u.Attributes) {
		role = e.role(groups)
	}
	if role == "" {
		return e.leave(ctx, u.Subject)
	}
	c := inventory.AddMember{Organization: e.Name, User: u.Subject, Type: kindOf(u.Attributes), Role: role}
	roles, err := e.Store.Roles(ctx, u.Subject)
	if err != nil {
		return err
	}
	delete(roles, e.Name)
	if len(roles) == 0 { // a user of several organizations is none's alone to describe
		c.Whole = true
		if c.Email = address(u.Attributes); c.Email != "" {
			c.Confirmed = inventory.ConfirmedByDirectory
		}
	}
	if !c.Whole || text(u.Attributes, "userType") == "" {
		c.Type = "" // as it is; who is new is a user
	}
	if c.Responsible, err = e.responsible(ctx, u.Attributes); err != nil {
		return err
	}
	_, err = e.Commands.Do(ctx, actor(ctx), c)
	return err
}

// responsible is who answers for a service account: its manager (RFC 7643,
// section 4.3), where that is a user of the directory who is a member. nil, as it
// is, where the directory names none, and for a person.
func (e *endpoint) responsible(ctx context.Context, attributes map[string]any) (*[]string, error) {
	if kindOf(attributes) != inventory.TypeServiceAccount {
		return nil, nil
	}
	names := []string{}
	extension, _ := attributes[enterprise.ID].(map[string]any)
	manager, _ := extension["manager"].(map[string]any)
	id := text(manager, "value")
	if id == "" {
		return nil, nil
	}
	subject := ""
	err := e.read(ctx, func(d inventory.Directory) error {
		p, err := d.ByID(inventory.KindUser, id)
		if err == nil && p != nil && kindOf(p.Attributes) == inventory.TypePerson {
			subject = p.Subject
		}
		return err
	})
	if err != nil || subject == "" {
		return &names, err
	}
	roles, err := e.Store.Roles(ctx, subject)
	if roles[e.Name] != "" {
		names = append(names, subject)
	}
	return &names, err
}

// leave ends a membership, if there is one. Its history stays.
func (e *endpoint) leave(ctx context.Context, user string) error {
	_, err := e.Commands.Do(ctx, actor(ctx), inventory.RemoveMember{Organization: e.Name, User: user})
	var missing *inventory.NotFound
	if errors.As(err, &missing) && missing.What != "organization" {
		return nil
	}
	return err
}

// active is the attribute; who is not said to be inactive is active.
func active(attributes map[string]any) bool {
	a, there := attributes["active"].(bool)
	return a || !there && attributes["active"] == nil
}

// kindOf tells service accounts, whose userType says so.
func kindOf(attributes map[string]any) string {
	kind, _ := attributes["userType"].(string)
	switch strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(kind)) {
	case "service_account", "service", "serviceaccount", "bot":
		return "service_account"
	}
	return "user"
}

// address is the primary address, or the first.
func address(attributes map[string]any) string {
	first := ""
	for _, one := range asList(attributes["emails"]) {
		m, _ := one.(map[string]any)
		value, _ := m["value"].(string)
		if primary, _ := m["primary"].(bool); primary && value != "" {
			return value
		}
		if first == "" {
			first = value
		}
	}
	return first
}

// subject is the name of a user in the inventory.
func (e *endpoint) subject(userName string) (string, error) {
	name := userName
	if !e.WholeName {
		name, _, _ = strings.Cut(name, "@")
	}
	return inventory.CheckName("userName", name)
}

// kept are the attributes that are stored: a password never is.
func kept(attributes map[string]any) map[string]any {
	out, _ := withoutPassword(maps.Clone(attributes)).(map[string]any)
	for name := range attributes {
		switch strings.ToLower(name) {
		case "groups", "members", "id", "meta", "schemas", "externalid":
			delete(out, name)
		}
	}
	return out
}

// withoutPassword leaves passwords out at every depth, in extensions too.
func withoutPassword(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			if !strings.EqualFold(name, "password") {
				out[name] = withoutPassword(member)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutPassword(v[i])
		}
		return out
	}
	return v
}

func (e *endpoint) fresh(kind, name, external string, attributes map[string]any) (*inventory.Provisioned, error) {
	id, err := uuid.NewV7()
	now := e.Clock().UTC().Truncate(time.Millisecond)
	return &inventory.Provisioned{Kind: kind, ID: id.String(), Name: fold(name), ExternalID: external, Attributes: kept(attributes), Version: 1, CreatedAt: now, Changed: now}, err
}

// changed is the next version of what is kept.
func (e *endpoint) changed(before *inventory.Provisioned, name, external string, attributes map[string]any) *inventory.Provisioned {
	after := *before
	after.Name, after.ExternalID, after.Attributes = fold(name), external, kept(attributes)
	after.Version, after.Changed = before.Version+1, e.Clock().UTC().Truncate(time.Millisecond)
	return &after
}

// shown is a resource as the library answers with it.
func shown(p *inventory.Provisioned, attributes map[string]any) lib.Resource {
	r := lib.Resource{ID: p.ID, Attributes: attributes, Meta: lib.Meta{Created: &p.CreatedAt, LastModified: &p.Changed, Version: etag(p)}}
	if p.ExternalID != "" {
		r.ExternalID = optional.NewString(p.ExternalID)
	}
	return r
}

func etag(p *inventory.Provisioned) string { return `W/"` + strconv.FormatInt(p.Version, 10) + `"` }

// atVersion holds a request to the version that it was based on, if it says one.
func atVersion(r *http.Request, p *inventory.Provisioned) error {
	if match := r.Header.Get("If-Match"); match != "" && match != "*" && strings.TrimPrefix(match, "W/") != strings.TrimPrefix(etag(p), "W/") {
		return scimerrors.ScimError{Status: http.StatusPreconditionFailed, Detail: "The resource has changed: read it again."}
	}
	return nil
}

// put keeps what changed, unless it changed again meanwhile.
func put(d inventory.Directory, p *inventory.Provisioned) error {
	other, err := d.ByName(p.Kind, p.Name)
	if err != nil {
		return err
	}
	if other != nil && other.ID != p.ID {
		return scimerrors.ScimErrorUniqueness
	}
	before, err := d.ByID(p.Kind, p.ID)
	if err != nil {
		return err
	}
	if before != nil && before.Version != p.Version-1 || before == nil && p.Version != 1 {
		return scimerrors.ScimError{Status: http.StatusConflict, Detail: "The resource was changed at the same time."}
	}
	return d.Put(p)
}

func text(attributes map[string]any, name string) string {
	s, _ := attributes[name].(string)
	return s
}
