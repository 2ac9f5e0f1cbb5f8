-- name: Counter :one
SELECT change, audit_seq, audit_head FROM counter;

-- name: TakeNumber :execrows
-- The last statement of each change; it fails to match where somebody else
-- took a number since this transaction read it.
UPDATE counter SET change = change + 1, audit_seq = sqlc.arg(audit_seq), audit_head = sqlc.arg(audit_head)
WHERE change = sqlc.arg(change);

-- name: InsertChange :exec
INSERT INTO changes (change, part, kind, key1, key2, time) VALUES ($1, $2, $3, $4, $5, $6);

-- name: ChangesToForget :one
-- The last change of those that are older than the retention, of the first
-- rows. No more is looked at: this is done with each change, and an import
-- leaves changes of thousands of rows.
SELECT CAST(coalesce(max(oldest.change), 0) AS BIGINT) FROM (SELECT c.change, c.time FROM changes c ORDER BY c.change, c.part LIMIT 200) oldest
WHERE oldest.time < CAST(sqlc.arg(before) AS BIGINT);

-- name: ForgetChanges :exec
-- Whole changes only.
DELETE FROM changes WHERE change <= $1;

-- name: InsertEvent :exec
INSERT INTO outbox (dedupe_key, kind, organization_id, token_id, request_id, state, attempts, next_at, last_error, created_at, owner, at)
VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, '', $7, $8, $9) ON CONFLICT (dedupe_key) DO NOTHING;

-- name: ChangesAfter :one
-- whole is 1 where one of them is too much to list; a range of tokens lists at
-- most a hundred.
SELECT CAST(coalesce(min(c.change), 0) AS BIGINT) AS first, CAST(coalesce(sum(CASE WHEN c.kind = 'tokens' THEN 100 ELSE 1 END), 0) AS BIGINT) AS listed, CAST(coalesce(max(CASE WHEN c.kind = 'all' THEN 1 ELSE 0 END), 0) AS BIGINT) AS whole
FROM changes c WHERE c.change > sqlc.arg(after);

-- name: ChangesOfImports :one
-- others are those that may matter to an import of new tokens.
SELECT CAST(coalesce(min(c.change), 0) AS BIGINT) AS first,
  CAST(coalesce(sum(CASE WHEN c.kind IN ('tokens', 'request', 'authorization', 'nothing') THEN 0 ELSE 1 END), 0) AS BIGINT) AS others
FROM changes c WHERE c.change > sqlc.arg(after);

-- name: ChangedOrganizations :many
SELECT * FROM organizations WHERE id IN (SELECT key1 FROM changes WHERE kind = 'organization' AND change > $1);

-- name: ChangedUsers :many
SELECT * FROM users WHERE id IN (SELECT key1 FROM changes WHERE kind = 'user' AND change > $1);

-- name: ChangedPeriods :many
SELECT p.* FROM (SELECT DISTINCT key1, key2 FROM changes WHERE kind = 'member' AND change > $1) c
JOIN periods p ON p.organization_id = c.key1 AND p.user_id = c.key2 ORDER BY p.organization_id, p.user_id, p.since;

-- name: ChangedTokens :many
SELECT * FROM tokens WHERE id IN (SELECT key1 FROM changes WHERE kind = 'token' AND change > $1);

-- name: NewTokens :many
-- New tokens are listed from the first id to the last: those between that were
-- made by others are read too, as they stand.
SELECT t.* FROM changes c CROSS JOIN tokens t WHERE c.kind = 'tokens' AND c.change > $1 AND t.id >= c.key1 AND t.id <= c.key2;

-- name: ChangedAuthorizations :many
-- SQLite keeps to the order of a CROSS JOIN: what was changed comes first.
SELECT a.* FROM (SELECT DISTINCT key1, key2 FROM changes WHERE kind = 'authorization' AND change > $1) c
CROSS JOIN authorizations a WHERE a.token_id = c.key1 AND a.organization_id = c.key2;

-- name: ChangedRequests :many
SELECT q.* FROM (SELECT DISTINCT key1, key2 FROM changes WHERE kind = 'request' AND change > $1) c
CROSS JOIN requests q WHERE q.token_id = c.key1 AND q.organization_id = c.key2
AND q.round = (SELECT max(p.round) FROM requests p WHERE p.token_id = c.key1 AND p.organization_id = c.key2);

-- name: AllOrganizations :many
SELECT * FROM organizations WHERE NOT deleted;

-- name: AllUsers :many
SELECT * FROM users;

-- name: AllPeriods :many
SELECT * FROM periods ORDER BY organization_id, user_id, since;

-- name: SetHead :execrows
UPDATE counter SET audit_seq = $1, audit_head = $2;
