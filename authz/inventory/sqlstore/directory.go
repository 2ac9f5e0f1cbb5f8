package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// ReadDirectory shows what an organization's directory keeps here.
func (s *Store) ReadDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error {
	return s.reading(ctx, func(st *state) error { return f(&directory{st, organizationID}) })
}

// WriteDirectory changes it, all or nothing.
func (s *Store) WriteDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error {
	return s.writing(ctx, "keep what a directory provisions", func(st *state) error { return f(&directory{st, organizationID}) })
}

type directory struct {
	*state
	organization string
}

func provisioned(row *db.ScimResource) (*inventory.Provisioned, error) {
	p := &inventory.Provisioned{
		Kind: row.Kind, ID: row.ID, Name: row.Name, ExternalID: row.ExternalID, Subject: row.Subject, Version: row.Version,
		CreatedAt: fromMillis(row.CreatedAt), Changed: fromMillis(row.ChangedAt),
	}
	return p, json.Unmarshal([]byte(row.Attributes), &p.Attributes)
}

func (d *directory) ByID(kind, id string) (*inventory.Provisioned, error) {
	row, err := d.ScimByID(d.ctx, db.ScimByIDParams{OrganizationID: d.organization, Kind: kind, ID: id})
	return one(row, err, provisioned)
}

func (d *directory) ByName(kind, name string) (*inventory.Provisioned, error) {
	row, err := d.ScimByName(d.ctx, db.ScimByNameParams{OrganizationID: d.organization, Kind: kind, Name: name})
	return one(row, err, provisioned)
}

func (d *directory) BySubject(user string) (*inventory.Provisioned, error) {
	row, err := d.ScimBySubject(d.ctx, db.ScimBySubjectParams{OrganizationID: d.organization, Subject: user})
	return one(row, err, provisioned)
}

func (d *directory) ByExternal(kind, id string) ([]*inventory.Provisioned, error) {
	rows, err := d.ScimByExternal(d.ctx, db.ScimByExternalParams{OrganizationID: d.organization, Kind: kind, ExternalID: id})
	return all(rows, err, provisioned)
}

func (d *directory) Page(kind string, skip, size int) ([]*inventory.Provisioned, error) {
	rows, err := d.ScimPage(d.ctx, db.ScimPageParams{
		OrganizationID: d.organization, Kind: kind, Skipped: int32(min(skip, 1<<30)), Size: int32(min(size, 1<<20)), //nolint:gosec // bounded here
	})
	return all(rows, err, provisioned)
}

func (d *directory) Count(kind string) (int, error) {
	n, err := d.CountScim(d.ctx, db.CountScimParams{OrganizationID: d.organization, Kind: kind})
	return int(n), err
}

func (d *directory) Put(p *inventory.Provisioned) error {
	text, err := encode(p.Attributes)
	if err != nil {
		return err
	}
	return d.UpsertScim(d.ctx, db.UpsertScimParams{
		OrganizationID: d.organization, Kind: p.Kind, ID: p.ID, Name: p.Name, ExternalID: p.ExternalID, Subject: p.Subject, Attributes: text,
		Version: p.Version, CreatedAt: millis(p.CreatedAt), ChangedAt: millis(p.Changed),
	})
}

func (d *directory) Delete(kind, id string) error {
	err := d.ForgetScimGroup(d.ctx, db.ForgetScimGroupParams{OrganizationID: d.organization, GroupID: id})
	if kind == inventory.KindUser {
		err = d.ForgetScimUser(d.ctx, db.ForgetScimUserParams{OrganizationID: d.organization, UserID: id})
	}
	if err != nil {
		return err
	}
	return d.DeleteScim(d.ctx, db.DeleteScimParams{OrganizationID: d.organization, Kind: kind, ID: id})
}

// Members are the users of a group.
func (d *directory) Members(group string) ([]*inventory.Provisioned, error) {
	rows, err := d.ScimMembers(d.ctx, db.ScimMembersParams{OrganizationID: d.organization, GroupID: group})
	return all(rows, err, provisioned)
}

// GroupsOf are the groups that a user is in.
func (d *directory) GroupsOf(user string) ([]*inventory.Provisioned, error) {
	rows, err := d.ScimGroupsOf(d.ctx, db.ScimGroupsOfParams{OrganizationID: d.organization, UserID: user})
	return all(rows, err, provisioned)
}

func (d *directory) Join(group, user string) error {
	return d.AddScimMember(d.ctx, db.AddScimMemberParams{OrganizationID: d.organization, GroupID: group, UserID: user})
}

func (d *directory) Leave(group, user string) error {
	return d.RemoveScimMember(d.ctx, db.RemoveScimMemberParams{OrganizationID: d.organization, GroupID: group, UserID: user})
}
