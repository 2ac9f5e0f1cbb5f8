-- +goose Up
-- Tokens are found by the first six bytes of their digest, as a number: digests come
-- in no order, so that an import writes all over their index, which is a third as
-- large now. That no two tokens have one digest is for the rules: one command after
-- the other looks before it writes. An older patrol that goes on beside does not know
-- it, and its tokens are refused.
CREATE TABLE tokens_by_start (
  id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, display_name TEXT NOT NULL, last4 TEXT NOT NULL, kind TEXT NOT NULL,
  owner_id TEXT NOT NULL, source TEXT NOT NULL, grants TEXT NOT NULL, global TEXT NOT NULL, purpose TEXT NOT NULL,
  contact TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL, version INTEGER NOT NULL, former TEXT NOT NULL DEFAULT '', owner INTEGER NOT NULL, name TEXT NOT NULL, number INTEGER PRIMARY KEY, digest_start INTEGER NOT NULL
) STRICT;
INSERT INTO tokens_by_start SELECT id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name, number,
    (instr('123456789ABCDEF', substr(h, 1, 1)) << 44) + (instr('123456789ABCDEF', substr(h, 2, 1)) << 40) + (instr('123456789ABCDEF', substr(h, 3, 1)) << 36) +
    (instr('123456789ABCDEF', substr(h, 4, 1)) << 32) + (instr('123456789ABCDEF', substr(h, 5, 1)) << 28) + (instr('123456789ABCDEF', substr(h, 6, 1)) << 24) +
    (instr('123456789ABCDEF', substr(h, 7, 1)) << 20) + (instr('123456789ABCDEF', substr(h, 8, 1)) << 16) + (instr('123456789ABCDEF', substr(h, 9, 1)) << 12) +
    (instr('123456789ABCDEF', substr(h, 10, 1)) << 8) + (instr('123456789ABCDEF', substr(h, 11, 1)) << 4) + (instr('123456789ABCDEF', substr(h, 12, 1)) << 0)
  FROM (SELECT t.*, hex(substr(t.digest, 1, 6)) AS h FROM tokens t) ORDER BY number;
DROP TABLE tokens;
ALTER TABLE tokens_by_start RENAME TO tokens;
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_name ON tokens (name);
CREATE INDEX tokens_created ON tokens (created_at);
CREATE INDEX tokens_digest ON tokens (digest_start);

ALTER TABLE discovered ADD COLUMN digest_start INTEGER NOT NULL DEFAULT 0;
UPDATE discovered SET digest_start = (SELECT
    (instr('123456789ABCDEF', substr(h, 1, 1)) << 44) + (instr('123456789ABCDEF', substr(h, 2, 1)) << 40) + (instr('123456789ABCDEF', substr(h, 3, 1)) << 36) +
    (instr('123456789ABCDEF', substr(h, 4, 1)) << 32) + (instr('123456789ABCDEF', substr(h, 5, 1)) << 28) + (instr('123456789ABCDEF', substr(h, 6, 1)) << 24) +
    (instr('123456789ABCDEF', substr(h, 7, 1)) << 20) + (instr('123456789ABCDEF', substr(h, 8, 1)) << 16) + (instr('123456789ABCDEF', substr(h, 9, 1)) << 12) +
    (instr('123456789ABCDEF', substr(h, 10, 1)) << 8) + (instr('123456789ABCDEF', substr(h, 11, 1)) << 4) + (instr('123456789ABCDEF', substr(h, 12, 1)) << 0) FROM (SELECT hex(substr(discovered.digest, 1, 6)) AS h));

-- +goose Down
ALTER TABLE discovered DROP COLUMN digest_start;
CREATE TABLE tokens_by_digest (
  id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, display_name TEXT NOT NULL, last4 TEXT NOT NULL, kind TEXT NOT NULL,
  owner_id TEXT NOT NULL, source TEXT NOT NULL, grants TEXT NOT NULL, global TEXT NOT NULL, purpose TEXT NOT NULL,
  contact TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL, version INTEGER NOT NULL, former TEXT NOT NULL DEFAULT '', owner INTEGER NOT NULL, name TEXT NOT NULL, number INTEGER PRIMARY KEY
) STRICT;
INSERT INTO tokens_by_digest SELECT id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name, number FROM tokens ORDER BY number;
DROP TABLE tokens;
ALTER TABLE tokens_by_digest RENAME TO tokens;
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_name ON tokens (name);
CREATE INDEX tokens_created ON tokens (created_at);
