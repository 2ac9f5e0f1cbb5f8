-- +goose Up
-- What was told is deleted after a while.
CREATE INDEX outbox_told ON outbox (created_at) WHERE state = 'addressed';

-- +goose Down
DROP INDEX outbox_told;
