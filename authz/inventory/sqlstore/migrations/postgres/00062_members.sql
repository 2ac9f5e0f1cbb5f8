-- +goose Up
-- Since when an address is known to be the user's (0: it is not), by what, and
-- when a link to confirm it was last asked for. Those that are there were given
-- by operators and directories, and mailed until now: they go on.
ALTER TABLE users ADD COLUMN email_confirmed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN email_confirmed_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email_asked_at BIGINT NOT NULL DEFAULT 0;
UPDATE users SET email_confirmed_at = created_at, email_confirmed_by = 'before' WHERE email <> '';

-- Who answers for a service account in an organization.
CREATE TABLE responsible_people (
  organization_id TEXT COLLATE "C" NOT NULL, user_id TEXT COLLATE "C" NOT NULL, person_id TEXT COLLATE "C" NOT NULL, PRIMARY KEY (organization_id, user_id, person_id)
);
CREATE INDEX responsible_people_person ON responsible_people (person_id);

-- +goose Down
DROP TABLE responsible_people;
ALTER TABLE users DROP COLUMN email_asked_at; ALTER TABLE users DROP COLUMN email_confirmed_by; ALTER TABLE users DROP COLUMN email_confirmed_at;
