-- +goose Up
-- The audit is a chain: each entry's hash covers the one before. Its head
-- stands beside the change number.
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';
ALTER TABLE counter ADD COLUMN audit_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counter ADD COLUMN audit_head TEXT NOT NULL DEFAULT '';
UPDATE counter SET audit_seq = (SELECT coalesce(max(seq), 0) FROM audit);
CREATE TABLE audit_heads (
  seq INTEGER NOT NULL, head TEXT NOT NULL, signed_at INTEGER NOT NULL, public_key TEXT NOT NULL, signature TEXT NOT NULL,
  PRIMARY KEY (seq, public_key)
) STRICT, WITHOUT ROWID;

-- token_namespaces now holds every token that an organization's listing shows:
-- by its grants, by a decision on it, or as a member's unscoped one.
DELETE FROM token_namespaces WHERE token_id IN (SELECT id FROM tokens WHERE deleted);
INSERT INTO token_namespaces (organization_id, token_id)
  SELECT a.organization_id, a.token_id FROM authorizations a JOIN tokens t ON t.id = a.token_id WHERE NOT t.deleted ON CONFLICT DO NOTHING;
INSERT INTO token_namespaces (organization_id, token_id)
  SELECT p.organization_id, t.id FROM periods p JOIN tokens t ON t.owner_id = p.user_id
  WHERE p.until = 0 AND t.kind <> 'fine-grained' AND NOT t.deleted ON CONFLICT DO NOTHING;

DROP INDEX organizations_name;
CREATE UNIQUE INDEX organizations_name ON organizations (name) WHERE NOT deleted;
DROP INDEX tokens_owner;
CREATE INDEX tokens_owner ON tokens (owner_id, id);
DROP INDEX authorizations_organization;
CREATE INDEX authorizations_organization ON authorizations (organization_id, state, token_id);
CREATE INDEX authorizations_suspended ON authorizations (organization_id, token_id) WHERE suspended;
DROP INDEX requests_organization;
CREATE INDEX requests_queue ON requests (organization_id, state, opened_at, id);
CREATE INDEX requests_token ON requests (organization_id, state, token_id);
CREATE INDEX periods_members ON periods (organization_id, user_id) WHERE until = 0;

-- +goose Down
DROP INDEX periods_members; DROP INDEX requests_token; DROP INDEX requests_queue;
CREATE INDEX requests_organization ON requests (organization_id, state, opened_at);
DROP INDEX authorizations_suspended; DROP INDEX authorizations_organization;
CREATE INDEX authorizations_organization ON authorizations (organization_id);
DROP INDEX tokens_owner;
CREATE INDEX tokens_owner ON tokens (owner_id);
DROP INDEX organizations_name;
CREATE UNIQUE INDEX organizations_name ON organizations (name) WHERE deleted = 0;
DROP TABLE audit_heads;
ALTER TABLE counter DROP COLUMN audit_head; ALTER TABLE counter DROP COLUMN audit_seq; ALTER TABLE audit DROP COLUMN hash;
