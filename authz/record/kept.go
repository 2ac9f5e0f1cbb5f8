package record

import (
	"context"
)

// Find returns the latest refusal of a request, by its id or the decision's: of the
// organizations, by their ids, that see says yes to, where "" is asked for requests
// about none that is known; nil where none is kept (any more). Ids of requests are
// chosen by clients, and several may have one.
func (r *Recorder) Find(ctx context.Context, id string, see func(organization string) bool) (*Refusal, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	return r.files.find(id, see)
}

// Last returns the latest refusals of a token, by its id, at most so many, the
// latest first: of the organizations, by their ids, that see says yes to. "" is asked
// for requests that were about none, and [UnknownOrganization] for those about one
// that there is not.
func (r *Recorder) Last(ctx context.Context, token string, most int, see func(organization string) bool) ([]Refusal, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	return r.files.last(token, most, see)
}

// Kept hands on the refusals that are kept, the oldest first, each as a line of
// JSON: of an organization, by its id, or of all where that is "".
func (r *Recorder) Kept(ctx context.Context, organization string, f func(line []byte) error) error {
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	return r.files.each(ctx, organization, f)
}

// caughtUp returns when what was recorded before the call is there.
func (r *Recorder) caughtUp(ctx context.Context) error {
	waiter := make(chan struct{})
	select {
	case r.queue <- entry{waiter: waiter}:
		select {
		case <-waiter:
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
