-- name: OrganizationByName :one
SELECT * FROM organizations WHERE name = $1 AND NOT deleted;

-- name: OrganizationByAlias :one
SELECT o.* FROM organization_aliases a JOIN organizations o ON o.id = a.organization_id WHERE a.name = $1 AND NOT o.deleted;

-- name: UpsertAlias :exec
INSERT INTO organization_aliases (name, organization_id) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET organization_id = excluded.organization_id;

-- name: ForgetAlias :exec
DELETE FROM organization_aliases WHERE organization_id = $1;

-- name: OrganizationByID :one
SELECT * FROM organizations WHERE id = $1;

-- name: OrganizationsPage :many
SELECT * FROM organizations WHERE NOT deleted AND type = 'organization' AND name > sqlc.arg(after) ORDER BY name LIMIT sqlc.arg(size);

-- name: PoliciesInUse :many
SELECT token_policy AS policy FROM organizations WHERE NOT deleted AND token_policy <> ''
UNION SELECT next_token_policy FROM organizations WHERE NOT deleted AND next_token_policy <> '';

-- name: UpsertOrganization :exec
INSERT INTO organizations (id, name, type, owner_id, token_policy, next_token_policy, enforce_at, enforcement, managed_by, settings, created_at, version, deleted, aliases, number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, token_policy = excluded.token_policy, next_token_policy = excluded.next_token_policy,
  enforce_at = excluded.enforce_at, enforcement = excluded.enforcement, managed_by = excluded.managed_by, settings = excluded.settings,
  version = excluded.version, deleted = excluded.deleted, aliases = excluded.aliases;

-- name: OrganizationNumber :one
SELECT number FROM organizations WHERE id = $1;

-- name: LastOrganization :one
SELECT CAST(coalesce(max(number), 0) AS BIGINT) FROM organizations;
