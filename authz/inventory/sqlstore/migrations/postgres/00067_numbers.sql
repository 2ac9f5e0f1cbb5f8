-- +goose Up
-- Tokens, organizations and users have a number beside their id. What lists
-- tokens goes by numbers, which take a small part of an id's room in each index.
-- The name that orders tokens stands beside the one that is shown.
ALTER TABLE organizations ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
UPDATE organizations SET number = n.number FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM organizations) n WHERE n.id = organizations.id;
CREATE UNIQUE INDEX organizations_number ON organizations (number);
ALTER TABLE users ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
UPDATE users SET number = n.number FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM users) n WHERE n.id = users.id;
CREATE UNIQUE INDEX users_number ON users (number);

DROP INDEX tokens_owner; DROP INDEX tokens_name; DROP INDEX tokens_created;
ALTER TABLE tokens ADD COLUMN owner BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
UPDATE tokens SET number = n.number, owner = n.owner, name = lower(display_name)
  FROM (SELECT t.id, row_number() OVER (ORDER BY t.id) AS number, coalesce(u.number, 0) AS owner FROM tokens t LEFT JOIN users u ON u.id = t.owner_id) n WHERE n.id = tokens.id;
CREATE UNIQUE INDEX tokens_number ON tokens (number);
CREATE INDEX tokens_owner ON tokens (owner, number);
CREATE INDEX tokens_name ON tokens (name, number);
CREATE INDEX tokens_created ON tokens (created_at, number);

ALTER TABLE token_namespaces RENAME TO token_namespaces_by_id;
CREATE TABLE token_namespaces (
  organization BIGINT NOT NULL, token BIGINT NOT NULL, name TEXT COLLATE "C" NOT NULL, owner TEXT COLLATE "C" NOT NULL, created_at BIGINT NOT NULL
);
INSERT INTO token_namespaces (organization, token, name, owner, created_at)
  SELECT o.number, t.number, n.name, n.owner, n.created_at FROM token_namespaces_by_id n JOIN organizations o ON o.id = n.organization_id JOIN tokens t ON t.id = n.token_id;
DROP TABLE token_namespaces_by_id;
ALTER TABLE token_namespaces ADD PRIMARY KEY (organization, token);
CREATE INDEX token_namespaces_token ON token_namespaces (token);
CREATE INDEX token_namespaces_name ON token_namespaces (organization, name, token);
CREATE INDEX token_namespaces_owner ON token_namespaces (organization, owner, token);
CREATE INDEX token_namespaces_created ON token_namespaces (organization, created_at, token);

-- +goose Down
ALTER TABLE token_namespaces RENAME TO token_namespaces_by_number;
CREATE TABLE token_namespaces (
  organization_id TEXT COLLATE "C" NOT NULL, token_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL DEFAULT '',
  owner TEXT COLLATE "C" NOT NULL DEFAULT '', created_at BIGINT NOT NULL DEFAULT 0
);
INSERT INTO token_namespaces (organization_id, token_id, name, owner, created_at)
  SELECT o.id, t.id, n.name, n.owner, n.created_at FROM token_namespaces_by_number n JOIN organizations o ON o.number = n.organization JOIN tokens t ON t.number = n.token;
DROP TABLE token_namespaces_by_number;
ALTER TABLE token_namespaces ADD PRIMARY KEY (organization_id, token_id);
CREATE INDEX token_namespaces_token ON token_namespaces (token_id);
CREATE INDEX token_namespaces_name ON token_namespaces (organization_id, name, token_id);
CREATE INDEX token_namespaces_owner ON token_namespaces (organization_id, owner, token_id);
CREATE INDEX token_namespaces_created ON token_namespaces (organization_id, created_at, token_id);
DROP INDEX tokens_created; DROP INDEX tokens_name; DROP INDEX tokens_owner; DROP INDEX tokens_number;
ALTER TABLE tokens DROP COLUMN number; ALTER TABLE tokens DROP COLUMN name; ALTER TABLE tokens DROP COLUMN owner;
CREATE INDEX tokens_owner ON tokens (owner_id, id);
CREATE INDEX tokens_name ON tokens (lower(display_name), id);
CREATE INDEX tokens_created ON tokens (created_at, id);
DROP INDEX users_number; ALTER TABLE users DROP COLUMN number;
DROP INDEX organizations_number; ALTER TABLE organizations DROP COLUMN number;
