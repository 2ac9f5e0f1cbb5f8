-- +goose Up
-- What an organization's tokens are ordered by stands beside who lists them, so
-- that a page of an organization reads its own tokens only, however many others there are.
ALTER TABLE token_namespaces ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE token_namespaces ADD COLUMN owner TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE token_namespaces ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE token_namespaces SET
  name = coalesce((SELECT lower(t.display_name) FROM tokens t WHERE t.id = token_id), ''),
  owner = coalesce((SELECT u.name FROM tokens t JOIN users u ON u.id = t.owner_id WHERE t.id = token_id), ''),
  created_at = coalesce((SELECT t.created_at FROM tokens t WHERE t.id = token_id), 0);
CREATE INDEX token_namespaces_name ON token_namespaces (organization_id, name, token_id);
CREATE INDEX token_namespaces_owner ON token_namespaces (organization_id, owner, token_id);
CREATE INDEX token_namespaces_created ON token_namespaces (organization_id, created_at, token_id);

-- +goose Down
DROP INDEX token_namespaces_created; DROP INDEX token_namespaces_owner; DROP INDEX token_namespaces_name;
ALTER TABLE token_namespaces DROP COLUMN created_at;
ALTER TABLE token_namespaces DROP COLUMN owner;
ALTER TABLE token_namespaces DROP COLUMN name;
