-- +goose Up
-- Who is logged in to the console, under the SHA-256 of the cookie.
CREATE TABLE sessions (
  hash TEXT COLLATE "C" PRIMARY KEY, caller TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE sessions;
