-- name: UserByName :one
SELECT * FROM users WHERE name = $1;

-- name: UserByID :one
SELECT * FROM users WHERE id = $1;

-- name: UpsertUser :exec
INSERT INTO users (id, name, type, email, created_at, email_confirmed_at, email_confirmed_by, email_asked_at, number) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET type = excluded.type, email = excluded.email, email_confirmed_at = excluded.email_confirmed_at,
  email_confirmed_by = excluded.email_confirmed_by, email_asked_at = excluded.email_asked_at;

-- name: UserNumber :one
SELECT number FROM users WHERE id = $1;

-- name: LastUser :one
SELECT CAST(coalesce(max(number), 0) AS BIGINT) FROM users;

-- name: PeriodsOf :many
SELECT * FROM periods WHERE organization_id = $1 AND user_id = $2 ORDER BY since;

-- name: CountMembers :one
SELECT count(*) FROM periods WHERE organization_id = $1 AND until = 0;

-- name: CountAdministrators :one
SELECT count(*) FROM periods p JOIN users u ON u.id = p.user_id WHERE p.organization_id = sqlc.arg(organization_id) AND p.until = 0 AND p.role = 'admin' AND u.type = sqlc.arg(type);

-- name: UpsertPeriod :exec
INSERT INTO periods (organization_id, user_id, since, until, role) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (organization_id, user_id, since) DO UPDATE SET until = excluded.until;

-- name: NamedResponsible :many
-- The ids of those who were named, also of who has left meanwhile.
SELECT person_id FROM responsible_people WHERE organization_id = $1 AND user_id = $2 AND until = 0 ORDER BY person_id;

-- name: AnsweredAfter :many
-- The ids of who was named in any organization, now or until after a moment.
SELECT DISTINCT person_id FROM responsible_people WHERE user_id = sqlc.arg(user_id) AND (until = 0 OR until > sqlc.arg(after)) ORDER BY person_id;

-- name: ResponsiblePeople :many
-- Who answers for a service account in an organization (in any: '') now: people who are members of it.
SELECT u.name, u.email, u.email_confirmed_at FROM responsible_people r JOIN users a ON a.id = r.user_id JOIN users u ON u.id = r.person_id
JOIN periods p ON p.organization_id = r.organization_id AND p.user_id = r.person_id
WHERE (r.organization_id = sqlc.arg(organization_id) OR sqlc.arg(organization_id) = '') AND r.user_id = sqlc.arg(user_id) AND a.type = 'service_account' AND u.type = 'user' AND p.until = 0 AND r.until = 0 ORDER BY u.name;

-- name: AccountsOf :many
-- The service accounts that a person answers for now, and where.
SELECT o.name AS organization, a.name AS account FROM users u JOIN responsible_people r ON r.person_id = u.id JOIN users a ON a.id = r.user_id
JOIN organizations o ON o.id = r.organization_id JOIN periods p ON p.organization_id = r.organization_id AND p.user_id = r.person_id
WHERE u.name = $1 AND u.type = 'user' AND a.type = 'service_account' AND p.until = 0 AND r.until = 0 AND NOT o.deleted ORDER BY o.name, a.name LIMIT 1000;

-- name: EndResponsible :exec
UPDATE responsible_people SET until = sqlc.arg(until) WHERE organization_id = sqlc.arg(organization_id) AND user_id = sqlc.arg(user_id) AND until = 0;

-- name: UpsertResponsible :exec
INSERT INTO responsible_people (organization_id, user_id, person_id) VALUES ($1, $2, $3)
ON CONFLICT (organization_id, user_id, person_id) DO UPDATE SET until = 0;
