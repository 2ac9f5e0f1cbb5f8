-- +goose Up
-- Times are UTC milliseconds; 0 stands for no time. Grants, settings and the
-- like are JSON. Secrets are known by their keyed digest alone.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE organizations (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, owner_id TEXT NOT NULL, token_policy TEXT NOT NULL,
  next_token_policy TEXT NOT NULL, enforce_at INTEGER NOT NULL, enforcement TEXT NOT NULL, managed_by TEXT NOT NULL,
  settings TEXT NOT NULL, created_at INTEGER NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX organizations_name ON organizations (name) WHERE deleted = 0;

CREATE TABLE users (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL, email TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;

-- The history of memberships: the period without an end is the present one.
CREATE TABLE periods (
  organization_id TEXT NOT NULL, user_id TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, role TEXT NOT NULL,
  PRIMARY KEY (organization_id, user_id, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX periods_user ON periods (user_id);

CREATE TABLE tokens (
  id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, display_name TEXT NOT NULL, last4 TEXT NOT NULL, kind TEXT NOT NULL,
  owner_id TEXT NOT NULL, source TEXT NOT NULL, grants TEXT NOT NULL, global TEXT NOT NULL, purpose TEXT NOT NULL,
  contact TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_owner ON tokens (owner_id);

-- Which organizations a token's grants reach, for their listings.
CREATE TABLE token_namespaces (
  organization_id TEXT NOT NULL, token_id TEXT NOT NULL, PRIMARY KEY (organization_id, token_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_namespaces_token ON token_namespaces (token_id);

CREATE TABLE authorizations (
  token_id TEXT NOT NULL, organization_id TEXT NOT NULL, state TEXT NOT NULL, grants TEXT NOT NULL, expires_at INTEGER NOT NULL,
  suspended INTEGER NOT NULL, changed_at INTEGER NOT NULL, changed_by TEXT NOT NULL, comment TEXT NOT NULL,
  PRIMARY KEY (token_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX authorizations_organization ON authorizations (organization_id);

-- The id follows from token, organization and round; tokens come in the order of
-- their ids, so that many are written side by side.
CREATE TABLE requests (
  id TEXT NOT NULL, token_id TEXT NOT NULL, organization_id TEXT NOT NULL, round INTEGER NOT NULL, state TEXT NOT NULL,
  grants TEXT NOT NULL, opened_at INTEGER NOT NULL, opened_by TEXT NOT NULL, decided_at INTEGER NOT NULL,
  decided_by TEXT NOT NULL, decision TEXT NOT NULL, comment TEXT NOT NULL,
  PRIMARY KEY (token_id, organization_id, round)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_organization ON requests (organization_id, state, opened_at);

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor_kind TEXT NOT NULL, actor_name TEXT NOT NULL, action TEXT NOT NULL,
  organization_id TEXT NOT NULL, token_id TEXT NOT NULL, details TEXT NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization_id, seq);

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY, dedupe_key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, organization_id TEXT NOT NULL,
  token_id TEXT NOT NULL, request_id TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  next_at INTEGER NOT NULL, last_error TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;

-- One number a transaction, taken as its last statement: whoever reads up to a
-- number has read all that was committed before it.
CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), change INTEGER NOT NULL) STRICT;
INSERT INTO counter (id, change) VALUES (1, 0);
CREATE TABLE changes (
  change INTEGER NOT NULL, part INTEGER NOT NULL, kind TEXT NOT NULL, key1 TEXT NOT NULL, key2 TEXT NOT NULL, time INTEGER NOT NULL,
  PRIMARY KEY (change, part)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE changes; DROP TABLE counter; DROP TABLE outbox; DROP TABLE audit; DROP TABLE requests; DROP TABLE authorizations;
DROP TABLE token_namespaces; DROP TABLE tokens; DROP TABLE periods; DROP TABLE users; DROP TABLE organizations; DROP TABLE meta;
