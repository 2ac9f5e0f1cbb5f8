-- name: MetaValue :one
SELECT value FROM meta WHERE name = $1;

-- name: SetMetaOnce :exec
INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: SetMeta :exec
INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value;
