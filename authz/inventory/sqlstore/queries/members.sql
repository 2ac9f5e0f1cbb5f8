-- name: UserByName :one
SELECT * FROM users WHERE name = $1;

-- name: UserByID :one
SELECT * FROM users WHERE id = $1;

-- name: UpsertUser :exec
INSERT INTO users (id, name, type, email, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET email = excluded.email;

-- name: PeriodsOf :many
SELECT * FROM periods WHERE organization_id = $1 AND user_id = $2 ORDER BY since;

-- name: CountMembers :one
SELECT count(*) FROM periods WHERE organization_id = $1 AND until = 0;

-- name: MembersPage :many
SELECT u.id, u.name, u.type, u.email, p.role, p.since FROM users u JOIN periods p ON p.user_id = u.id
WHERE p.organization_id = sqlc.arg(organization_id) AND p.until = 0 AND u.name > sqlc.arg(after) ORDER BY u.name LIMIT sqlc.arg(size);

-- name: UpsertPeriod :exec
INSERT INTO periods (organization_id, user_id, since, until, role) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (organization_id, user_id, since) DO UPDATE SET until = excluded.until;
