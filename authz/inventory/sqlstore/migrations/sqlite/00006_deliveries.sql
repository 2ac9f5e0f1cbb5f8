-- +goose Up
-- An event of the outbox becomes a delivery for each recipient.
ALTER TABLE outbox ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_waiting ON outbox (id) WHERE state = 'waiting';
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, channel TEXT NOT NULL, audience TEXT NOT NULL, recipient TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, leased_until INTEGER NOT NULL, last_error TEXT NOT NULL,
  ended_at INTEGER NOT NULL,
  UNIQUE (event_id, channel, audience, recipient)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_state ON deliveries (state, id);

-- +goose Down
DROP TABLE deliveries;
DROP INDEX outbox_waiting;
ALTER TABLE outbox DROP COLUMN leased_until;
