-- +goose Up
-- What owners were told of dated changes of policy, to tell them when one is moved.
CREATE INDEX outbox_dates ON outbox (id) WHERE at > 0;

-- +goose Down
DROP INDEX outbox_dates;
