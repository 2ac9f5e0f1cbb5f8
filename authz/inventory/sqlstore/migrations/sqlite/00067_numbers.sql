-- +goose Up
-- Tokens, organizations and users have a number beside their id. What lists
-- tokens goes by numbers, which take a small part of an id's room in each index.
-- The name that orders tokens stands beside the one that is shown.
ALTER TABLE organizations ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE organizations SET number = rowid;
CREATE UNIQUE INDEX organizations_number ON organizations (number);
ALTER TABLE users ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE users SET number = rowid;
CREATE UNIQUE INDEX users_number ON users (number);

-- A token's number is its row's: an index ends with it by itself.
CREATE TABLE tokens_by_number (
  id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, display_name TEXT NOT NULL, last4 TEXT NOT NULL, kind TEXT NOT NULL,
  owner_id TEXT NOT NULL, source TEXT NOT NULL, grants TEXT NOT NULL, global TEXT NOT NULL, purpose TEXT NOT NULL,
  contact TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL, version INTEGER NOT NULL, former TEXT NOT NULL DEFAULT '', owner INTEGER NOT NULL, name TEXT NOT NULL, number INTEGER PRIMARY KEY
) STRICT;
INSERT INTO tokens_by_number SELECT t.id, t.digest, t.display_name, t.last4, t.kind, t.owner_id, t.source, t.grants, t.global, t.purpose, t.contact, t.created_at, t.expires_at,
  t.disabled, t.deleted, t.version, t.former, coalesce((SELECT u.number FROM users u WHERE u.id = t.owner_id), 0), lower(t.display_name), row_number() OVER (ORDER BY t.id)
  FROM tokens t ORDER BY t.id;
DROP TABLE tokens;
ALTER TABLE tokens_by_number RENAME TO tokens;
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_name ON tokens (name);
CREATE INDEX tokens_created ON tokens (created_at);

CREATE TABLE token_namespaces_by_number (
  organization INTEGER NOT NULL, token INTEGER NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (organization, token)
) STRICT, WITHOUT ROWID;
INSERT INTO token_namespaces_by_number SELECT o.number, t.number, n.name, n.owner, n.created_at
  FROM token_namespaces n JOIN organizations o ON o.id = n.organization_id JOIN tokens t ON t.id = n.token_id ORDER BY o.number, t.number;
DROP TABLE token_namespaces;
ALTER TABLE token_namespaces_by_number RENAME TO token_namespaces;
CREATE INDEX token_namespaces_token ON token_namespaces (token);
CREATE INDEX token_namespaces_name ON token_namespaces (organization, name, token);
CREATE INDEX token_namespaces_owner ON token_namespaces (organization, owner, token);
CREATE INDEX token_namespaces_created ON token_namespaces (organization, created_at, token);

-- +goose Down
CREATE TABLE token_namespaces_by_id (
  organization_id TEXT NOT NULL, token_id TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (organization_id, token_id)
) STRICT, WITHOUT ROWID;
INSERT INTO token_namespaces_by_id SELECT o.id, t.id, n.name, n.owner, n.created_at
  FROM token_namespaces n JOIN organizations o ON o.number = n.organization JOIN tokens t ON t.number = n.token;
DROP TABLE token_namespaces;
ALTER TABLE token_namespaces_by_id RENAME TO token_namespaces;
CREATE INDEX token_namespaces_token ON token_namespaces (token_id);
CREATE INDEX token_namespaces_name ON token_namespaces (organization_id, name, token_id);
CREATE INDEX token_namespaces_owner ON token_namespaces (organization_id, owner, token_id);
CREATE INDEX token_namespaces_created ON token_namespaces (organization_id, created_at, token_id);

CREATE TABLE tokens_by_id (
  id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, display_name TEXT NOT NULL, last4 TEXT NOT NULL, kind TEXT NOT NULL,
  owner_id TEXT NOT NULL, source TEXT NOT NULL, grants TEXT NOT NULL, global TEXT NOT NULL, purpose TEXT NOT NULL,
  contact TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL, version INTEGER NOT NULL, former TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO tokens_by_id SELECT id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled,
  deleted, version, former FROM tokens;
DROP TABLE tokens;
ALTER TABLE tokens_by_id RENAME TO tokens;
CREATE INDEX tokens_owner ON tokens (owner_id, id);
CREATE INDEX tokens_name ON tokens (lower(display_name), id);
CREATE INDEX tokens_created ON tokens (created_at, id);
DROP INDEX users_number; ALTER TABLE users DROP COLUMN number;
DROP INDEX organizations_number; ALTER TABLE organizations DROP COLUMN number;
