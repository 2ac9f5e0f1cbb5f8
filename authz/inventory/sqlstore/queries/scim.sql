-- name: UpsertScim :exec
INSERT INTO scim_resources (organization_id, kind, id, name, external_id, subject, attributes, version, created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (organization_id, kind, id) DO UPDATE SET name = excluded.name, external_id = excluded.external_id, attributes = excluded.attributes,
  version = excluded.version, changed_at = excluded.changed_at;

-- name: DeleteScim :exec
DELETE FROM scim_resources WHERE organization_id = $1 AND kind = $2 AND id = $3;

-- name: ScimByID :one
SELECT * FROM scim_resources WHERE organization_id = $1 AND kind = $2 AND id = $3;

-- name: ScimByName :one
SELECT * FROM scim_resources WHERE organization_id = $1 AND kind = $2 AND name = $3;

-- name: ScimBySubject :one
SELECT * FROM scim_resources WHERE organization_id = $1 AND subject = $2 LIMIT 1;

-- name: ScimByExternal :many
SELECT * FROM scim_resources WHERE organization_id = $1 AND kind = $2 AND external_id = $3 ORDER BY id LIMIT 1000;

-- name: ScimPage :many
SELECT * FROM scim_resources WHERE organization_id = sqlc.arg(organization_id) AND kind = sqlc.arg(kind) ORDER BY id
LIMIT sqlc.arg(size) OFFSET sqlc.arg(skipped);

-- name: CountScim :one
SELECT count(*) FROM scim_resources WHERE organization_id = $1 AND kind = $2;

-- name: AddScimMember :exec
INSERT INTO scim_members (organization_id, group_id, user_id) VALUES ($1, $2, $3) ON CONFLICT (organization_id, group_id, user_id) DO NOTHING;

-- name: RemoveScimMember :exec
DELETE FROM scim_members WHERE organization_id = $1 AND group_id = $2 AND user_id = $3;

-- name: ForgetScimUser :exec
DELETE FROM scim_members WHERE organization_id = $1 AND user_id = $2;

-- name: ForgetScimGroup :exec
DELETE FROM scim_members WHERE organization_id = $1 AND group_id = $2;

-- name: ScimMembers :many
SELECT r.* FROM scim_members m JOIN scim_resources r ON r.organization_id = m.organization_id AND r.kind = 'User' AND r.id = m.user_id
WHERE m.organization_id = $1 AND m.group_id = $2 ORDER BY r.id;

-- name: ScimGroupsOf :many
SELECT r.* FROM scim_members m JOIN scim_resources r ON r.organization_id = m.organization_id AND r.kind = 'Group' AND r.id = m.group_id
WHERE m.organization_id = $1 AND m.user_id = $2 ORDER BY r.id;
