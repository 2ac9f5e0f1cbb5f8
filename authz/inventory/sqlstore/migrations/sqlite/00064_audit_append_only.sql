-- +goose Up
-- Entries of the audit log are only added: nothing in patrol changes or removes one.
-- Who holds the file can drop the triggers, and then the chain tells of it.
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only: its entries are not changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only: its entries are not removed'); END;
-- +goose StatementEnd
-- INSERT OR REPLACE removes a row without the trigger above.
-- +goose StatementBegin
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT raise(ABORT, 'the audit log is append-only: its entries are not replaced'); END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_no_replace;
DROP TRIGGER audit_no_delete;
DROP TRIGGER audit_no_update;
