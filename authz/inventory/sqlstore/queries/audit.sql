-- name: InsertAudit :exec
INSERT INTO audit (seq, time, actor_kind, actor_name, action, organization_id, token_id, details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: AuditPage :many
SELECT a.*, coalesce(o.name, '') AS organization FROM audit a LEFT JOIN organizations o ON o.id = a.organization_id
WHERE a.seq < sqlc.arg(before) ORDER BY a.seq DESC LIMIT sqlc.arg(size);

-- name: AuditOfOrganizationPage :many
SELECT a.*, coalesce(o.name, '') AS organization FROM audit a LEFT JOIN organizations o ON o.id = a.organization_id
WHERE a.organization_id = sqlc.arg(organization_id) AND a.seq < sqlc.arg(before) ORDER BY a.seq DESC LIMIT sqlc.arg(size);

-- name: AuditFrom :many
SELECT a.*, coalesce(o.name, '') AS organization FROM audit a LEFT JOIN organizations o ON o.id = a.organization_id
WHERE a.seq > sqlc.arg(after) ORDER BY a.seq LIMIT sqlc.arg(size);

-- name: ChainAudit :exec
UPDATE audit SET hash = sqlc.arg(hash) WHERE seq = sqlc.arg(seq);

-- name: InsertHead :exec
INSERT INTO audit_heads (seq, head, signed_at, public_key, signature) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (seq, public_key) DO NOTHING;

-- name: Heads :many
SELECT * FROM audit_heads ORDER BY seq, public_key;

-- name: LastHead :one
SELECT * FROM audit_heads WHERE public_key = $1 ORDER BY seq DESC LIMIT 1;
