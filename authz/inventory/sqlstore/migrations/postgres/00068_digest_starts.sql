-- +goose Up
-- The first six bytes of a digest, as a number: SQLite finds tokens by it. Here it is
-- told along with the digest, by which tokens are found, and which is unique.
ALTER TABLE tokens ADD COLUMN digest_start BIGINT NOT NULL DEFAULT 0;
UPDATE tokens SET digest_start = CAST(CAST('x' || encode(substring(digest FROM 1 FOR 6), 'hex') AS bit(48)) AS BIGINT);
ALTER TABLE tokens ALTER COLUMN digest_start DROP DEFAULT; -- an older patrol's tokens are refused
ALTER TABLE discovered ADD COLUMN digest_start BIGINT NOT NULL DEFAULT 0;
UPDATE discovered SET digest_start = CAST(CAST('x' || encode(substring(digest FROM 1 FOR 6), 'hex') AS bit(48)) AS BIGINT);

-- +goose Down
ALTER TABLE discovered DROP COLUMN digest_start;
ALTER TABLE tokens DROP COLUMN digest_start;
