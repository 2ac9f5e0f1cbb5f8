package main

import (
	"context"

	"github.com/patrol-authz/patrol/authz/admin/console"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/notify"
)

// asked is the user whom a link asks now: one whose address is not confirmed,
// and whose link has not ended; else nil.
func (a *App) asked(ctx context.Context, name string) (*inventory.User, error) {
	u, err := a.Store.User(ctx, name)
	if err != nil || u == nil || u.Email == "" || !u.ConfirmedAt.IsZero() || u.AskedAt.IsZero() || !a.Clock().Before(u.AskedAt.Add(inventory.LinkFor)) {
		return nil, err
	}
	return u, nil
}

// addressLinks reads the links that confirm addresses.
type addressLinks struct{ *App }

func (l addressLinks) Address(ctx context.Context, code string) (console.AddressLink, bool, error) {
	u, err := l.asked(ctx, l.addresses.User(code))
	if err != nil || u == nil || !l.addresses.Matches(code, u.Name, u.Email, u.AskedAt) {
		return console.AddressLink{}, false, err
	}
	return console.AddressLink{User: u.Name, Email: u.Email, AskedAt: u.AskedAt}, true, nil
}

// confirmation is what an event that asks for an address is about; nil where it
// was confirmed, or was changed, meanwhile.
func (d directory) confirmation(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	u, err := d.asked(ctx, e.Owner)
	if err != nil || u == nil {
		return nil, err
	}
	c, err := d.Store.ConcernedOwner(ctx, e.Organization, "")
	if err != nil || c == nil {
		return nil, err
	}
	return &notify.Subject{
		Organization: d.shown(c.Organization),
		Confirm:      &notify.Confirmation{User: u.Name, Email: u.Email, Code: d.addresses.Make(u.Name, u.Email, u.AskedAt), Until: u.AskedAt.Add(inventory.LinkFor)},
	}, nil
}
