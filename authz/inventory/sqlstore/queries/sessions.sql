-- name: InsertSession :exec
INSERT INTO sessions (hash, caller, created_at, expires_at) VALUES ($1, $2, $3, $4);

-- name: SessionOf :one
SELECT * FROM sessions WHERE hash = $1;

-- name: EndSession :exec
DELETE FROM sessions WHERE hash = $1;

-- name: ForgetSessions :exec
DELETE FROM sessions WHERE expires_at <= $1;

-- name: RolesOf :many
SELECT o.name, p.role FROM users u JOIN periods p ON p.user_id = u.id JOIN organizations o ON o.id = p.organization_id
WHERE u.name = $1 AND p.until = 0 AND NOT o.deleted AND o.type = 'organization' ORDER BY o.name;
