-- name: ClaimReplay :execrows
INSERT INTO replays (id, fingerprint, done, status, etag, content_type, body, created_at) VALUES ($1, $2, FALSE, 0, '', '', '', $3)
ON CONFLICT (id) DO NOTHING;

-- name: Replay :one
SELECT * FROM replays WHERE id = $1;

-- name: FinishReplay :exec
UPDATE replays SET done = TRUE, status = $2, etag = $3, content_type = $4, body = $5 WHERE id = $1;

-- name: ForgetReplay :exec
DELETE FROM replays WHERE id = $1;

-- name: ForgetReplays :exec
DELETE FROM replays WHERE created_at < $1;
