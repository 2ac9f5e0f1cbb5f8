-- +goose Up
-- Entries of the audit log are only added: nothing in patrol changes or removes one.
-- Who owns the database can drop the triggers, and then the chain tells of it.
-- +goose StatementBegin
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only: its entries are neither changed nor removed'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

-- +goose Down
DROP TRIGGER audit_no_truncate ON audit;
DROP TRIGGER audit_no_change ON audit;
DROP FUNCTION audit_append_only();
