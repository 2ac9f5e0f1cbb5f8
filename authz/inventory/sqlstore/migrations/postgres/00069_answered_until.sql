-- +goose Up
-- Until when somebody answered for a service account; 0: they do. Who did of late is
-- no other person where two have to approve.
ALTER TABLE responsible_people ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX responsible_people_user ON responsible_people (user_id);

-- +goose Down
DROP INDEX responsible_people_user;
DELETE FROM responsible_people WHERE until <> 0;
ALTER TABLE responsible_people DROP COLUMN until;
