-- name: AddUsage :exec
INSERT INTO usage_counts (token_id, organization_id, day, resource_type, resource, permission, network, reason, allowed, requests, first_at, last_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (token_id, organization_id, day, resource_type, resource, permission, network, reason, allowed) DO UPDATE SET
  requests = usage_counts.requests + excluded.requests,
  first_at = CASE WHEN excluded.first_at < usage_counts.first_at THEN excluded.first_at ELSE usage_counts.first_at END,
  last_at = CASE WHEN excluded.last_at > usage_counts.last_at THEN excluded.last_at ELSE usage_counts.last_at END;

-- name: AddTokenUse :exec
INSERT INTO token_uses (token_id, organization_id, used_at, refused_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (token_id, organization_id) DO UPDATE SET
  used_at = CASE WHEN excluded.used_at > token_uses.used_at THEN excluded.used_at ELSE token_uses.used_at END,
  refused_at = CASE WHEN excluded.refused_at > token_uses.refused_at THEN excluded.refused_at ELSE token_uses.refused_at END;

-- name: LastUsedAt :one
SELECT used_at FROM token_uses WHERE token_id = $1 AND organization_id = $2;

-- name: AddDiscovered :exec
INSERT INTO discovered (organization_id, digest, host, network, permission, requests, first_at, last_at, digest_start) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (organization_id, digest) DO UPDATE SET host = excluded.host, network = excluded.network, permission = excluded.permission,
  requests = discovered.requests + excluded.requests,
  last_at = CASE WHEN excluded.last_at > discovered.last_at THEN excluded.last_at ELSE discovered.last_at END;

-- name: CountDiscovered :one
SELECT count(*) FROM discovered WHERE organization_id = $1;

-- name: ForgetUsage :exec
DELETE FROM usage_counts WHERE day < $1;

-- name: ForgetImported :exec
DELETE FROM discovered WHERE organization_id = $1 AND EXISTS (SELECT 1 FROM tokens t WHERE t.digest_start = discovered.digest_start AND t.digest = discovered.digest);

-- name: ForgetDiscovered :exec
DELETE FROM discovered WHERE last_at < $1;

-- name: DiscoveredPage :many
-- Those that were not imported meanwhile, the latest first.
SELECT * FROM discovered d WHERE d.organization_id = sqlc.arg(organization_id)
AND d.last_at <= sqlc.arg(last_at) AND (d.last_at < sqlc.arg(last_at) OR d.digest < sqlc.arg(digest))
AND (SELECT t.digest FROM tokens t WHERE t.digest_start = d.digest_start AND t.digest = d.digest LIMIT 1) IS NULL ORDER BY d.last_at DESC, d.digest DESC LIMIT sqlc.arg(size);

-- name: UsageByDay :many
SELECT u.day, u.allowed, CAST(sum(u.requests) AS BIGINT) AS requests FROM usage_counts u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id)) AND u.day >= sqlc.arg(since)
GROUP BY u.day, u.allowed ORDER BY u.day;

-- name: UsageByResource :many
SELECT u.resource_type, u.resource, u.permission, u.allowed, CAST(sum(u.requests) AS BIGINT) AS requests, CAST(max(u.last_at) AS BIGINT) AS last_at
FROM usage_counts u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id)) AND u.day >= sqlc.arg(since)
GROUP BY u.resource_type, u.resource, u.permission, u.allowed ORDER BY requests DESC, u.resource, u.permission, u.allowed LIMIT sqlc.arg(size);

-- name: UsageByNetwork :many
SELECT u.network, CAST(sum(u.requests) AS BIGINT) AS requests, CAST(max(u.last_at) AS BIGINT) AS last_at FROM usage_counts u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id)) AND u.day >= sqlc.arg(since)
AND u.network <> '' GROUP BY u.network ORDER BY last_at DESC, u.network LIMIT sqlc.arg(size);

-- name: UsageByReason :many
SELECT u.reason, u.allowed, CAST(sum(u.requests) AS BIGINT) AS requests, CAST(max(u.last_at) AS BIGINT) AS last_at FROM usage_counts u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id)) AND u.day >= sqlc.arg(since)
GROUP BY u.reason, u.allowed ORDER BY requests DESC, u.reason, u.allowed;

-- name: UsageOfDays :many
-- What came on each day for each reason, for a timeline.
SELECT u.organization_id, u.day, u.reason, u.allowed, CAST(sum(u.requests) AS BIGINT) AS requests, CAST(min(u.first_at) AS BIGINT) AS first_at,
  CAST(max(u.last_at) AS BIGINT) AS last_at, count(DISTINCT u.network) AS networks FROM usage_counts u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id)) AND u.day >= sqlc.arg(since)
GROUP BY u.organization_id, u.day, u.reason, u.allowed ORDER BY u.day DESC, requests DESC LIMIT sqlc.arg(size);

-- name: TokenUse :one
SELECT CAST(coalesce(max(u.used_at), 0) AS BIGINT) AS used_at, CAST(coalesce(max(u.refused_at), 0) AS BIGINT) AS refused_at FROM token_uses u
WHERE u.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR u.organization_id = sqlc.arg(organization_id));

-- name: AuditOfToken :many
SELECT a.seq, a.time, a.actor_kind, a.actor_name, a.action, a.organization_id, a.token_id, a.details FROM audit a
WHERE a.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR a.organization_id IN (sqlc.arg(organization_id), ''))
AND a.time >= sqlc.arg(since) ORDER BY a.seq DESC LIMIT sqlc.arg(size);

-- name: RequestsOfToken :many
SELECT * FROM requests q WHERE q.token_id = sqlc.arg(token_id) AND (CAST(sqlc.arg(everywhere) AS BIGINT) = 1 OR q.organization_id = sqlc.arg(organization_id))
ORDER BY q.opened_at DESC LIMIT sqlc.arg(size);

-- name: CountUnknown :one
-- Unknown tokens that were seen since, and not imported meanwhile.
SELECT count(*) AS tokens, CAST(coalesce(sum(d.requests), 0) AS BIGINT) AS requests FROM discovered d
WHERE d.organization_id = sqlc.arg(organization_id) AND d.last_at >= sqlc.arg(since)
AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.digest_start = d.digest_start AND t.digest = d.digest);
