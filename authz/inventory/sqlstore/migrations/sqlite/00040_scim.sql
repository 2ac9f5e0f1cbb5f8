-- +goose Up
-- Users and groups as a directory provisions them (SCIM 2.0), each organization's
-- own. subject is the user's name in the inventory; name is folded.
CREATE TABLE scim_resources (
  organization_id TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, external_id TEXT NOT NULL, subject TEXT NOT NULL,
  attributes TEXT NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
  PRIMARY KEY (organization_id, kind, id), UNIQUE (organization_id, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX scim_resources_subject ON scim_resources (organization_id, subject);
CREATE INDEX scim_resources_external ON scim_resources (organization_id, kind, external_id);
CREATE TABLE scim_members (
  organization_id TEXT NOT NULL, group_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (organization_id, group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scim_members_user ON scim_members (organization_id, user_id);

-- +goose Down
DROP TABLE scim_members; DROP TABLE scim_resources;
