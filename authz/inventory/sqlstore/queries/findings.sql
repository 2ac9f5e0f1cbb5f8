-- name: TakeLease :execrows
INSERT INTO leases (name, holder, until) VALUES (sqlc.arg(name), sqlc.arg(holder), sqlc.arg(until))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.holder = excluded.holder OR leases.until <= sqlc.arg(now);

-- name: UpsertFinding :exec
INSERT INTO findings (organization_id, token_id, finding, severity, grade, title, message, todo, details, first_at, last_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (organization_id, token_id, finding) DO UPDATE SET severity = excluded.severity, grade = excluded.grade, title = excluded.title,
  message = excluded.message, todo = excluded.todo, details = excluded.details, last_at = excluded.last_at;

-- name: FindingsOf :many
SELECT * FROM findings WHERE organization_id = $1 AND token_id = $2 ORDER BY grade DESC, finding;

-- name: ForgetFinding :exec
DELETE FROM findings WHERE organization_id = $1 AND token_id = $2 AND finding = $3;

-- name: PruneFindings :exec
-- Those of tokens that reach the organization no more, and of organizations
-- that are deleted.
DELETE FROM findings WHERE (findings.token_id <> ''
    AND NOT EXISTS (SELECT 1 FROM token_namespaces n WHERE n.organization = (SELECT o.number FROM organizations o WHERE o.id = findings.organization_id)
      AND n.token = (SELECT t.number FROM tokens t WHERE t.id = findings.token_id)))
  OR NOT EXISTS (SELECT 1 FROM organizations o WHERE o.id = findings.organization_id AND NOT o.deleted);

-- name: CountFindings :many
SELECT f.finding, f.severity, count(*) AS tokens FROM findings f JOIN organizations o ON o.id = f.organization_id
WHERE NOT o.deleted GROUP BY f.finding, f.severity;

-- name: NextOrganization :many
SELECT * FROM organizations WHERE type = 'organization' AND NOT deleted AND id > sqlc.arg(after) ORDER BY id LIMIT 1;

-- name: ReachedTokens :many
SELECT t.id FROM token_namespaces n JOIN tokens t ON t.number = n.token
WHERE n.organization = (SELECT o.number FROM organizations o WHERE o.id = sqlc.arg(organization_id)) AND n.token > sqlc.arg(after) ORDER BY n.token LIMIT sqlc.arg(size);

-- name: ReachOfToken :many
SELECT o.id FROM tokens t JOIN token_namespaces n ON n.token = t.number JOIN organizations o ON o.number = n.organization
WHERE t.id = $1 AND o.type = 'organization' AND NOT o.deleted ORDER BY o.id;
