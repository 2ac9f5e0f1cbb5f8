-- name: TokenByID :one
SELECT * FROM tokens WHERE id = $1;

-- name: TokenByDigest :one
SELECT * FROM tokens WHERE digest = $1;

-- name: TokenByFormer :one
SELECT t.* FROM former_digests f JOIN tokens t ON t.id = f.token_id WHERE f.digest = $1;

-- name: InsertFormer :exec
INSERT INTO former_digests (digest, token_id) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING;

-- name: TokensOn :many
SELECT t.* FROM token_namespaces n JOIN tokens t ON t.id = n.token_id WHERE n.organization_id = $1 ORDER BY t.id;

-- name: TokenVersionOf :one
SELECT * FROM token_versions WHERE token_id = $1 AND version = $2;

-- name: TokenVersionsOf :many
SELECT * FROM token_versions WHERE token_id = $1 ORDER BY version DESC LIMIT sqlc.arg(size);

-- name: InsertTokenVersion :exec
INSERT INTO token_versions (token_id, version, kind, grants, expires_at, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (token_id, version) DO NOTHING;

-- name: TokensOf :many
SELECT * FROM tokens WHERE owner_id = $1 AND NOT deleted ORDER BY id;

-- name: UpsertToken :exec
INSERT INTO tokens (id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, display_name = excluded.display_name, last4 = excluded.last4, kind = excluded.kind,
  grants = excluded.grants, global = excluded.global, purpose = excluded.purpose, contact = excluded.contact, expires_at = excluded.expires_at,
  disabled = excluded.disabled, deleted = excluded.deleted, version = excluded.version, former = excluded.former;

-- name: UpsertReach :exec
INSERT INTO token_namespaces (organization_id, token_id, name, owner, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, token_id) DO NOTHING;

-- name: ForgetReach :exec
DELETE FROM token_namespaces WHERE token_id = $1;

-- name: ReachByDecision :exec
INSERT INTO token_namespaces (organization_id, token_id, name, owner, created_at)
SELECT a.organization_id, a.token_id, lower(t.display_name), u.name, t.created_at FROM authorizations a JOIN tokens t ON t.id = a.token_id JOIN users u ON u.id = t.owner_id
WHERE a.token_id = $1 AND NOT t.deleted ON CONFLICT (organization_id, token_id) DO NOTHING;

-- name: ReachOfUnscoped :exec
INSERT INTO token_namespaces (organization_id, token_id, name, owner, created_at)
SELECT p.organization_id, t.id, lower(t.display_name), u.name, t.created_at FROM tokens t JOIN periods p ON p.user_id = t.owner_id JOIN users u ON u.id = t.owner_id
WHERE t.id = $1 AND t.kind <> 'fine-grained' AND NOT t.deleted AND p.until = 0 ON CONFLICT (organization_id, token_id) DO NOTHING;

-- name: ReachOfMember :exec
INSERT INTO token_namespaces (organization_id, token_id, name, owner, created_at)
SELECT p.organization_id, t.id, lower(t.display_name), u.name, t.created_at FROM periods p JOIN tokens t ON t.owner_id = p.user_id JOIN users u ON u.id = p.user_id
WHERE p.organization_id = $1 AND p.user_id = $2 AND p.until = 0 AND t.kind <> 'fine-grained' AND NOT t.deleted
ON CONFLICT (organization_id, token_id) DO NOTHING;

-- name: ForgetReachOfMember :exec
DELETE FROM token_namespaces WHERE token_namespaces.organization_id = $1
AND token_namespaces.token_id IN (SELECT t.id FROM tokens t WHERE t.owner_id = $2 AND t.kind <> 'fine-grained'
  AND NOT EXISTS (SELECT 1 FROM authorizations a WHERE a.token_id = t.id AND a.organization_id = $1));
