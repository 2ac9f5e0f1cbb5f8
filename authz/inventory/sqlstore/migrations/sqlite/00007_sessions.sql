-- +goose Up
-- Who is logged in to the console, under the SHA-256 of the cookie.
CREATE TABLE sessions (
  hash TEXT PRIMARY KEY, caller TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE sessions;
