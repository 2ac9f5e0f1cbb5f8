package admin

import (
	"context"
	"sync"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// maxUnsettled bounds the endings that are kept in memory.
const maxUnsettled = 1000

// unsettled are the endings of requests with a key that the store did not take,
// as while its disk is full: they are tried again at each later change. Until
// then, or where this process ends before, the key is told as under way.
type unsettled struct {
	Replays
	mu      sync.Mutex
	endings map[string]*inventory.Replay // by id; nil: the id is given back
}

// end keeps an answer under an id, or, where there is none, gives the id back.
func (u *unsettled) end(ctx context.Context, id string, r *inventory.Replay) error {
	err := u.write(ctx, id, r)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		delete(u.endings, id)
	} else if u.endings == nil {
		u.endings = map[string]*inventory.Replay{id: r}
	} else if len(u.endings) < maxUnsettled {
		u.endings[id] = r
	}
	return err
}

func (u *unsettled) write(ctx context.Context, id string, r *inventory.Replay) error {
	if r == nil {
		return u.ForgetReplay(ctx, id)
	}
	return u.FinishReplay(ctx, id, *r)
}

// settle tries again what could not be written. The first that fails is enough
// to know.
func (u *unsettled) settle(ctx context.Context) {
	if !u.mu.TryLock() {
		return // somebody is at it
	}
	defer u.mu.Unlock() // nobody takes an id meanwhile whose ending is under way
	for id, r := range u.endings {
		if u.write(ctx, id, r) != nil {
			return
		}
		delete(u.endings, id)
	}
}

// claim is [Replays.ClaimReplay], by what is known here of ids that the store
// holds for under way.
func (u *unsettled) claim(ctx context.Context, id, fingerprint string) (*inventory.Replay, error) {
	found, err := u.ClaimReplay(ctx, id, fingerprint)
	if err != nil || found == nil || found.Done {
		return found, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	r, known := u.endings[id]
	switch {
	case !known:
		return found, nil
	case r != nil:
		told := *r
		told.Fingerprint, told.Done = found.Fingerprint, true
		return &told, nil
	case found.Fingerprint != fingerprint:
		return found, nil
	}
	delete(u.endings, id) // it was given back: this request has it now
	return nil, nil
}
