-- name: EventsWaiting :many
SELECT * FROM outbox WHERE state = 'waiting' AND next_at <= sqlc.arg(now) AND leased_until <= sqlc.arg(now) ORDER BY id LIMIT sqlc.arg(size);

-- name: LeaseEvent :exec
UPDATE outbox SET leased_until = $1 WHERE id = $2;

-- name: EndEvent :execrows
UPDATE outbox SET state = 'addressed' WHERE id = $1 AND state = 'waiting';

-- name: InsertDelivery :exec
INSERT INTO deliveries (event_id, channel, audience, recipient, state, attempts, next_at, leased_until, last_error, ended_at)
VALUES ($1, $2, $3, $4, 'waiting', 0, $5, 0, '', 0) ON CONFLICT (event_id, channel, audience, recipient) DO NOTHING;

-- name: DeliveriesWaiting :many
SELECT sqlc.embed(d), sqlc.embed(o) FROM deliveries d JOIN outbox o ON o.id = d.event_id
WHERE d.state = 'waiting' AND d.next_at <= sqlc.arg(now) AND d.leased_until <= sqlc.arg(now) ORDER BY d.next_at, d.id LIMIT sqlc.arg(size);

-- name: LeaseDelivery :exec
UPDATE deliveries SET leased_until = $1 WHERE id = $2;

-- name: EndDelivery :exec
UPDATE deliveries SET state = $1, last_error = $2, ended_at = $3, attempts = attempts + 1, leased_until = 0 WHERE id = $4;

-- name: PutBackDelivery :exec
UPDATE deliveries SET last_error = $1, next_at = $2, attempts = attempts + 1, leased_until = 0 WHERE id = $3;

-- name: RetryDeliveries :execrows
-- What was given up is tried anew.
UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = $1, leased_until = 0, ended_at = 0 WHERE state = 'dead';

-- name: DeliveriesPage :many
SELECT sqlc.embed(d), sqlc.embed(o) FROM deliveries d JOIN outbox o ON o.id = d.event_id
WHERE d.state = sqlc.arg(state) AND d.id < sqlc.arg(before) ORDER BY d.id DESC LIMIT sqlc.arg(size);

-- name: CountDeliveries :many
SELECT state, count(*) AS deliveries FROM deliveries WHERE state <> 'sent' AND state <> 'skipped' GROUP BY state;

-- name: CountEventsWaiting :one
SELECT count(*) FROM outbox WHERE state = 'waiting';

-- name: ForgetDeliveries :exec
DELETE FROM deliveries WHERE id IN (SELECT d.id FROM deliveries d WHERE d.state IN ('sent', 'skipped') AND d.ended_at < sqlc.arg(before) LIMIT 1000);

-- name: ReachableAdministrators :many
SELECT u.name, u.email FROM periods p JOIN users u ON u.id = p.user_id
WHERE p.organization_id = $1 AND p.until = 0 AND p.role = 'admin' AND u.email <> '' AND u.email_confirmed_at > 0 ORDER BY u.name LIMIT 50;

-- name: RequestsOpen :many
SELECT id, token_id, organization_id, opened_at FROM requests WHERE state = 'open' AND opened_at <= sqlc.arg(before) ORDER BY opened_at LIMIT 10000;

-- name: ApprovalsEnding :many
SELECT token_id, organization_id, expires_at FROM authorizations
WHERE state = 'approved' AND expires_at >= sqlc.arg(since) AND expires_at < sqlc.arg(before) AND expires_at > 0 ORDER BY expires_at LIMIT 10000;

-- name: TokensExpiring :many
SELECT t.id, o.id AS organization_id, t.expires_at FROM tokens t JOIN token_namespaces n ON n.token = t.number JOIN organizations o ON o.number = n.organization
WHERE NOT t.deleted AND o.type = 'organization' AND t.expires_at >= sqlc.arg(since) AND t.expires_at < sqlc.arg(before) AND t.expires_at > 0 ORDER BY t.expires_at LIMIT 10000;

-- name: PoliciesComing :many
SELECT id, enforce_at FROM organizations WHERE NOT deleted AND next_token_policy <> '' AND enforce_at < sqlc.arg(before) AND enforce_at > sqlc.arg(now) ORDER BY enforce_at, id;

-- name: ForgetEvents :execrows
-- Events that were told; their keys are free then.
DELETE FROM outbox WHERE id IN (SELECT o.id FROM outbox o WHERE o.state = 'addressed' AND o.created_at < sqlc.arg(before)
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = o.id) ORDER BY o.created_at LIMIT 1000);

-- name: ForgetDead :exec
DELETE FROM deliveries WHERE state = 'dead' AND ended_at < sqlc.arg(before);

-- name: DatesTold :many
-- The dates of which each owner was told, in that order.
SELECT organization_id, owner, at FROM outbox WHERE at > 0 AND owner <> '' AND state = 'addressed' ORDER BY id;
