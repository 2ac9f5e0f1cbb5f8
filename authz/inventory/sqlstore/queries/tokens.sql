-- name: TokenByID :one
SELECT * FROM tokens WHERE id = $1;

-- name: TokenByDigest :one
SELECT * FROM tokens WHERE digest_start = sqlc.arg(digest_start) AND digest = sqlc.arg(digest);

-- name: TokenByFormer :one
SELECT t.* FROM former_digests f JOIN tokens t ON t.id = f.token_id WHERE f.digest = $1;

-- name: AnyFormer :one
SELECT CAST(EXISTS (SELECT 1 FROM former_digests) AS BOOLEAN);

-- name: InsertFormer :exec
INSERT INTO former_digests (digest, token_id) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING;

-- name: TokensOn :many
SELECT t.* FROM token_namespaces n JOIN tokens t ON t.number = n.token WHERE n.organization = (SELECT o.number FROM organizations o WHERE o.id = $1) ORDER BY n.token;

-- name: TokenVersionOf :one
SELECT * FROM token_versions WHERE token_id = $1 AND version = $2;

-- name: TokenVersionsOf :many
SELECT * FROM token_versions WHERE token_id = $1 ORDER BY version DESC LIMIT sqlc.arg(size);

-- name: InsertTokenVersion :exec
INSERT INTO token_versions (token_id, version, kind, grants, expires_at, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (token_id, version) DO NOTHING;

-- name: TokensOf :many
SELECT * FROM tokens WHERE owner = (SELECT u.number FROM users u WHERE u.id = $1) AND NOT deleted ORDER BY number;

-- name: LastToken :one
-- Numbers are given one after the other, to who has the turn to write.
SELECT CAST(coalesce(max(number), 0) AS BIGINT) FROM tokens;

-- name: TokenPlace :one
-- The number of a token, or of the one before it where none has the id.
SELECT number FROM tokens WHERE id <= $1 ORDER BY id DESC LIMIT 1;

-- name: InsertToken :exec
-- One that is not there; it gets the number that follows the last one where the
-- database gives numbers by itself.
INSERT INTO tokens (id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name, digest_start)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20);

-- name: InsertNumberedToken :exec
INSERT INTO tokens (id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name, number, digest_start)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21);

-- name: UpsertToken :exec
INSERT INTO tokens (id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name, number, digest_start)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, display_name = excluded.display_name, last4 = excluded.last4, kind = excluded.kind,
  grants = excluded.grants, global = excluded.global, purpose = excluded.purpose, contact = excluded.contact, expires_at = excluded.expires_at,
  disabled = excluded.disabled, deleted = excluded.deleted, version = excluded.version, former = excluded.former, name = excluded.name,
  digest_start = excluded.digest_start;

-- name: UpsertReach :exec
INSERT INTO token_namespaces (organization, token, name, owner, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization, token) DO NOTHING;

-- name: ForgetReach :exec
DELETE FROM token_namespaces WHERE token IN (SELECT t.number FROM tokens t WHERE t.id = $1);

-- name: ReachByDecision :exec
INSERT INTO token_namespaces (organization, token, name, owner, created_at)
SELECT o.number, t.number, t.name, u.name, t.created_at FROM authorizations a JOIN tokens t ON t.id = a.token_id JOIN users u ON u.number = t.owner
JOIN organizations o ON o.id = a.organization_id
WHERE a.token_id = $1 AND NOT t.deleted ON CONFLICT (organization, token) DO NOTHING;

-- name: ReachOfUnscoped :exec
INSERT INTO token_namespaces (organization, token, name, owner, created_at)
SELECT o.number, t.number, t.name, u.name, t.created_at FROM tokens t JOIN users u ON u.number = t.owner JOIN periods p ON p.user_id = u.id
JOIN organizations o ON o.id = p.organization_id
WHERE t.id = $1 AND t.kind <> 'fine-grained' AND NOT t.deleted AND p.until = 0 ON CONFLICT (organization, token) DO NOTHING;

-- name: ReachOfMember :exec
INSERT INTO token_namespaces (organization, token, name, owner, created_at)
SELECT o.number, t.number, t.name, u.name, t.created_at FROM periods p JOIN users u ON u.id = p.user_id JOIN tokens t ON t.owner = u.number
JOIN organizations o ON o.id = p.organization_id
WHERE p.organization_id = $1 AND p.user_id = $2 AND p.until = 0 AND t.kind <> 'fine-grained' AND NOT t.deleted
ON CONFLICT (organization, token) DO NOTHING;

-- name: ForgetReachOfMember :exec
DELETE FROM token_namespaces WHERE token_namespaces.organization = (SELECT o.number FROM organizations o WHERE o.id = sqlc.arg(organization_id))
AND token_namespaces.token IN (SELECT t.number FROM tokens t JOIN users u ON u.number = t.owner WHERE u.id = sqlc.arg(owner_id) AND t.kind <> 'fine-grained'
  AND NOT EXISTS (SELECT 1 FROM authorizations a WHERE a.token_id = t.id AND a.organization_id = sqlc.arg(organization_id)));
