-- +goose Up
-- Answers to requests that came with an Idempotency-Key, which is known here by
-- its hash alone. A secret is never among them.
CREATE TABLE replays (
  id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, done INTEGER NOT NULL, status INTEGER NOT NULL, etag TEXT NOT NULL,
  content_type TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_created ON replays (created_at);

-- +goose Down
DROP TABLE replays;
