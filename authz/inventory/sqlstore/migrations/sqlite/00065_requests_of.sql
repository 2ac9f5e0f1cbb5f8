-- +goose Up
-- The requests of an owner, and those that somebody is to decide, however many
-- others an organization has.
DROP INDEX requests_owner;
CREATE INDEX requests_owner ON requests (organization_id, owner_id, state, opened_at, id);
CREATE INDEX requests_assignee ON requests (organization_id, assignee, state, opened_at, id) WHERE assignee <> '';

-- +goose Down
DROP INDEX requests_assignee; DROP INDEX requests_owner;
CREATE INDEX requests_owner ON requests (organization_id, owner_id) WHERE state = 'open';
