package inventory

import "time"

// ReplayFor is how long an answer is kept for a request that comes again.
const ReplayFor = 24 * time.Hour

// Replay is the answer to a request that came with an Idempotency-Key, kept for
// the same request to come again. It holds no secret.
type Replay struct {
	// Fingerprint tells whether it is the same request: a hash of what was asked.
	Fingerprint string
	// Done is false while the request is under way, or where its end was not seen.
	Done        bool
	Status      int
	ETag        string
	ContentType string
	Body        string
}
