package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Links reads the codes of links that confirm addresses, which mails hold.
type Links interface {
	// Address returns whom a code asks, and about which link; ok is false where
	// the code is none, was used, is too old, or is for another address.
	Address(ctx context.Context, code string) (l AddressLink, ok bool, err error)
}

// AddressLink is a link that asks a user whether an address is theirs.
type AddressLink struct {
	User, Email string
	AskedAt     time.Time
}

// staleAddress is the one answer to a code that confirms nothing, whatever is wrong
// with it: which addresses there are is not told.
var staleAddress = &failure{http.StatusGone, "The link is good no more", "A link to confirm an address is good once, for a week, and only the newest one, for the address that it was sent to. This one was used, is older, was replaced by another, or is none of ours. If you used it, the address is confirmed already; else nothing was confirmed. Your page of tokens, or an administrator, sends another."}

// addressPage asks before a link is used: what only looks at links, as mail
// scanners do, must not confirm anything.
func (c *Console) addressPage(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	l, ok, err := c.Links.Address(r.Context(), code)
	if err == nil && !ok {
		err = staleAddress
	}
	if err != nil {
		c.fail(w, r, nil, c.explain(err))
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	c.show(w, r, nil, http.StatusOK, "address", "Confirm an address", map[string]any{"Link": l, "Code": code})
}

// confirmAddress uses a link. Whoever has it reads the mailbox: nobody need be
// logged in.
func (c *Console) confirmAddress(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	l, ok, err := c.Links.Address(r.Context(), r.PostFormValue("code"))
	if err == nil && !ok {
		err = staleAddress
	}
	if err == nil {
		_, err = c.Commands.Do(r.Context(), inventory.Actor{Kind: "link", Name: l.User}, inventory.ConfirmAddress{
			User: l.User, By: inventory.ConfirmedByLink, Email: l.Email, AskedAt: l.AskedAt,
		})
	}
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) { // used in between
		err = staleAddress
	}
	if err != nil {
		c.fail(w, r, nil, c.explain(err))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	c.show(w, r, nil, http.StatusOK, "address", "Confirmed", map[string]any{"Link": l, "Done": true})
}

// provided takes the login provider's word for the address of who logs in.
func (c *Console) provided(ctx context.Context, user, email string) {
	if email == "" {
		return
	}
	_, err := c.Commands.Do(ctx, inventory.Actor{Kind: "console", Name: user}, inventory.ConfirmAddress{User: user, By: inventory.ConfirmedByProvider, Email: email})
	var missing *inventory.NotFound // known to the provider alone
	if err != nil && !errors.As(err, &missing) {
		c.Log.Warn("the address that the login provider knows is not taken over", "user", user, "error", err)
	}
}

// askConfirmation mails a member a link to confirm the address.
func (c *Console) askConfirmation(w http.ResponseWriter, a *ask) error {
	return c.onMember(w, a, "sent", func(user string) inventory.Command {
		return inventory.AskConfirmation{Organization: a.organization, User: user}
	})
}

// confirmMember takes the caller's word for a member's address.
func (c *Console) confirmMember(w http.ResponseWriter, a *ask) error {
	return c.onMember(w, a, "confirmed", func(user string) inventory.Command {
		return inventory.ConfirmAddress{Organization: a.organization, User: user, By: inventory.ConfirmedByAdministrator}
	})
}

// onMember carries out a command on a member as the page showed it: on the address
// that was looked at.
func (c *Console) onMember(w http.ResponseWriter, a *ask, done string, command func(user string) inventory.Command) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	version, _ := strconv.ParseInt(a.PostForm.Get("version"), 10, 64) // 0 is refused
	if version <= 0 {
		return noVersion
	}
	_, err := c.Commands.Do(a.Context(), a.caller.actor(a.organization), inventory.IfVersion{Command: command(a.PostForm.Get("user")), Version: version})
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(a.organization, "members")+"?done="+done, http.StatusSeeOther)
	return nil
}

// askOwnConfirmation mails the caller a link to confirm the own address.
func (c *Console) askOwnConfirmation(w http.ResponseWriter, a *ask) error {
	roles, err := c.Queries.Roles(a.Context(), a.caller.Name)
	if err != nil {
		return err
	}
	for organization := range roles { // any: the address is the user's, and no organization's
		if _, err := c.Commands.Do(a.Context(), a.caller.actor(organization), inventory.AskConfirmation{Organization: organization, User: a.caller.Name}); err != nil {
			return err
		}
		http.Redirect(w, a.Request, "/me?"+url.Values{"done": {"sent"}}.Encode(), http.StatusSeeOther)
		return nil
	}
	return &failure{http.StatusNotFound, "Not found", "You are no member of an organization: nothing is mailed."}
}
