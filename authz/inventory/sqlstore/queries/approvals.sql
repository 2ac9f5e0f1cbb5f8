-- name: AuthorizationOf :one
SELECT * FROM authorizations WHERE token_id = $1 AND organization_id = $2;

-- name: UpsertAuthorization :exec
INSERT INTO authorizations (token_id, organization_id, state, grants, expires_at, suspended, changed_at, changed_by, comment)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (token_id, organization_id) DO UPDATE SET state = excluded.state, grants = excluded.grants, expires_at = excluded.expires_at,
  suspended = excluded.suspended, changed_at = excluded.changed_at, changed_by = excluded.changed_by, comment = excluded.comment;

-- name: LatestRequest :one
SELECT * FROM requests WHERE token_id = $1 AND organization_id = $2 ORDER BY round DESC LIMIT 1;

-- name: UpsertRequest :exec
INSERT INTO requests (id, token_id, organization_id, round, state, grants, opened_at, opened_by, decided_at, decided_by, decision, comment,
  owner_id, purpose, assignee, review, risk)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (token_id, organization_id, round) DO UPDATE SET state = excluded.state, grants = excluded.grants, decided_at = excluded.decided_at, decided_by = excluded.decided_by,
  decision = excluded.decision, comment = excluded.comment, purpose = excluded.purpose, assignee = excluded.assignee, review = excluded.review, risk = excluded.risk;

-- name: CountOpenRequests :one
SELECT count(*) FROM requests WHERE organization_id = $1 AND owner_id = $2 AND state = 'open';

-- name: OpenRequestsOn :many
SELECT * FROM requests WHERE organization_id = $1 AND state = 'open' ORDER BY id;

-- name: AuthorizationsOn :many
SELECT * FROM authorizations WHERE organization_id = $1 ORDER BY token_id;

-- name: CountRequests :many
SELECT o.name, count(*) AS waiting, CAST(min(q.opened_at) AS BIGINT) AS oldest FROM requests q JOIN organizations o ON o.id = q.organization_id
WHERE q.state = $1 AND NOT o.deleted GROUP BY o.name;

-- name: WaitingOf :one
SELECT count(*) AS waiting, CAST(coalesce(min(q.opened_at), 0) AS BIGINT) AS oldest FROM requests q WHERE q.organization_id = $1 AND q.state = 'open';
