-- +goose Up
-- Names that an organization had before lead to it still.
ALTER TABLE organizations ADD COLUMN aliases TEXT NOT NULL DEFAULT '';
CREATE TABLE organization_aliases (name TEXT PRIMARY KEY, organization_id TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Secrets that a token had before it was rotated: the record tells of the last
-- ones, and the table keeps every digest, so that none comes back as another token.
ALTER TABLE tokens ADD COLUMN former TEXT NOT NULL DEFAULT '';
CREATE TABLE former_digests (digest BLOB PRIMARY KEY, token_id TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What a token was at its earlier versions: what reviewers of those have seen.
CREATE TABLE token_versions (
  token_id TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL, grants TEXT NOT NULL, expires_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL, changed_by TEXT NOT NULL, PRIMARY KEY (token_id, version)
) STRICT, WITHOUT ROWID;

-- Who asks, for what, who is to decide, and what was said about it (JSON).
ALTER TABLE requests ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN assignee TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN review TEXT NOT NULL DEFAULT '';
UPDATE requests SET owner_id = coalesce((SELECT t.owner_id FROM tokens t WHERE t.id = requests.token_id), '');
CREATE INDEX requests_owner ON requests (organization_id, owner_id) WHERE state = 'open';

-- +goose Down
DROP INDEX requests_owner;
ALTER TABLE requests DROP COLUMN review; ALTER TABLE requests DROP COLUMN assignee; ALTER TABLE requests DROP COLUMN purpose;
ALTER TABLE requests DROP COLUMN owner_id;
DROP TABLE token_versions; DROP TABLE former_digests; ALTER TABLE tokens DROP COLUMN former;
DROP TABLE organization_aliases; ALTER TABLE organizations DROP COLUMN aliases;
