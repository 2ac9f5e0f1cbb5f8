-- +goose Up
-- Listings in other orders than the newest first.
CREATE INDEX tokens_name ON tokens (lower(display_name), id);
CREATE INDEX tokens_created ON tokens (created_at, id);
CREATE INDEX token_uses_last ON token_uses (organization_id, used_at, token_id);
CREATE INDEX findings_grade ON findings (organization_id, grade, token_id);

-- What the review rules recommend, as a number: the greater, the riskier.
ALTER TABLE requests ADD COLUMN risk INTEGER NOT NULL DEFAULT 1;
UPDATE requests SET risk = CASE json_extract(review, '$.recommendation.action') WHEN 'deny' THEN 2 WHEN 'approve' THEN 0 ELSE 1 END WHERE review <> '' AND state = 'open';
CREATE INDEX requests_risk ON requests (organization_id, state, risk, opened_at, id);

-- +goose Down
DROP INDEX requests_risk;
ALTER TABLE requests DROP COLUMN risk;
DROP INDEX findings_grade; DROP INDEX token_uses_last; DROP INDEX tokens_created; DROP INDEX tokens_name;
