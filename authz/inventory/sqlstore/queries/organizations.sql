-- name: OrganizationByName :one
SELECT * FROM organizations WHERE name = $1 AND NOT deleted;

-- name: OrganizationByID :one
SELECT * FROM organizations WHERE id = $1;

-- name: OrganizationsPage :many
SELECT * FROM organizations WHERE NOT deleted AND type = 'organization' AND name > sqlc.arg(after) ORDER BY name LIMIT sqlc.arg(size);

-- name: PoliciesInUse :many
SELECT token_policy AS policy FROM organizations WHERE NOT deleted AND token_policy <> ''
UNION SELECT next_token_policy FROM organizations WHERE NOT deleted AND next_token_policy <> '';

-- name: UpsertOrganization :exec
INSERT INTO organizations (id, name, type, owner_id, token_policy, next_token_policy, enforce_at, enforcement, managed_by, settings, created_at, version, deleted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, token_policy = excluded.token_policy, next_token_policy = excluded.next_token_policy,
  enforce_at = excluded.enforce_at, enforcement = excluded.enforcement, managed_by = excluded.managed_by, settings = excluded.settings,
  version = excluded.version, deleted = excluded.deleted;
