-- name: AddOrganizationUse :exec
INSERT INTO organization_uses (organization_id, day, reason, allowed, requests, last_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (organization_id, day, reason, allowed) DO UPDATE SET requests = organization_uses.requests + excluded.requests,
  last_at = CASE WHEN excluded.last_at > organization_uses.last_at THEN excluded.last_at ELSE organization_uses.last_at END;

-- name: ForgetOrganizationUse :exec
DELETE FROM organization_uses WHERE day < $1;

-- name: OrganizationUse :many
SELECT * FROM organization_uses u WHERE u.organization_id = sqlc.arg(organization_id) AND u.day >= sqlc.arg(since) ORDER BY u.day, u.requests DESC, u.reason;

-- name: FindingsOfToken :many
SELECT * FROM findings f WHERE f.organization_id = sqlc.arg(organization_id) AND f.token_id = sqlc.arg(token_id) ORDER BY f.grade DESC, f.finding;

-- name: CountFindingsOf :many
-- Counted by the index of names alone; the words are the latest token's. SQLite
-- keeps to this order of the two.
SELECT c.finding, c.tokens, s.severity, s.grade, s.title,
  EXISTS (SELECT 1 FROM findings o WHERE o.organization_id = sqlc.arg(organization_id) AND o.token_id = '' AND o.finding = c.finding) AS organization
FROM (SELECT f.finding, count(*) AS tokens FROM findings f WHERE f.organization_id = sqlc.arg(organization_id) GROUP BY f.finding) c
CROSS JOIN findings s
WHERE s.organization_id = sqlc.arg(organization_id) AND s.finding = c.finding
  AND s.token_id = (SELECT max(m.token_id) FROM findings m WHERE m.organization_id = sqlc.arg(organization_id) AND m.finding = c.finding)
ORDER BY s.grade DESC, c.tokens DESC, c.finding;

-- name: PutReplica :exec
INSERT INTO replicas (id, host, version, revision, evaluator, problem, change, started_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, evaluator = excluded.evaluator, problem = excluded.problem, change = excluded.change, seen_at = excluded.seen_at;

-- name: ForgetReplicas :exec
DELETE FROM replicas WHERE seen_at < $1;

-- name: ForgetReplica :exec
DELETE FROM replicas WHERE id = $1;

-- name: Replicas :many
SELECT * FROM replicas ORDER BY host, id;
