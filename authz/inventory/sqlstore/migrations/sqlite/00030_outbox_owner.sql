-- +goose Up
-- An event may be about a person rather than a token, and about a moment that
-- may be moved.
ALTER TABLE outbox ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN at INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE outbox DROP COLUMN at; ALTER TABLE outbox DROP COLUMN owner;
