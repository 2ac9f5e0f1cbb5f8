-- +goose Up
-- Users and groups as a directory provisions them (SCIM 2.0), each organization's
-- own. subject is the user's name in the inventory; name is folded.
CREATE TABLE scim_resources (
  organization_id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL,
  external_id TEXT COLLATE "C" NOT NULL, subject TEXT COLLATE "C" NOT NULL, attributes TEXT NOT NULL, version BIGINT NOT NULL,
  created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, PRIMARY KEY (organization_id, kind, id), UNIQUE (organization_id, kind, name)
);
CREATE INDEX scim_resources_subject ON scim_resources (organization_id, subject);
CREATE INDEX scim_resources_external ON scim_resources (organization_id, kind, external_id);
CREATE TABLE scim_members (
  organization_id TEXT COLLATE "C" NOT NULL, group_id TEXT COLLATE "C" NOT NULL, user_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (organization_id, group_id, user_id)
);
CREATE INDEX scim_members_user ON scim_members (organization_id, user_id);

-- +goose Down
DROP TABLE scim_members; DROP TABLE scim_resources;
