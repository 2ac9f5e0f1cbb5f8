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
SELECT f.finding, f.severity, f.grade, f.title, count(*) AS tokens FROM findings f WHERE f.organization_id = $1
GROUP BY f.finding, f.severity, f.grade, f.title ORDER BY f.grade DESC, tokens DESC, f.finding;

-- name: PutReplica :exec
INSERT INTO replicas (id, host, version, revision, evaluator, problem, change, started_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, evaluator = excluded.evaluator, problem = excluded.problem, change = excluded.change, seen_at = excluded.seen_at;

-- name: ForgetReplicas :exec
DELETE FROM replicas WHERE seen_at < $1;

-- name: ForgetReplica :exec
DELETE FROM replicas WHERE id = $1;

-- name: Replicas :many
SELECT * FROM replicas ORDER BY host, id;
