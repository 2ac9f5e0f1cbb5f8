package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// This file keeps who decides apart from who asks, and one who decides from the other.

// keptOut is for how long before a request was opened whoever answered for its
// account then is no other person on it. Else who answers could be taken off, have
// the account ask, decide, and be named again.
const keptOut = 30 * 24 * time.Hour

// Person identifies who acts, for rules that ask for two different people (see
// Vote): whoever is on the server's own socket counts as one, and neither the
// policy nor the system is anybody (""). Whether a user is a person, and who is
// behind a service account, the rules look up.
func (a Actor) Person() string {
	switch a.Kind {
	case "token", "console":
		if strings.HasPrefix(a.Name, "uid:") { // a login over the socket; no user's name has a colon
			return "operator"
		}
		return "user:" + Fold(a.Name)
	case "socket":
		return "operator"
	}
	return ""
}

// deciding is the user who acts, where one does; who is known to the login provider
// alone is an empty one.
func (r *rules) deciding() (u *User, is bool, err error) {
	if r.actor.Kind != "token" && r.actor.Kind != "console" {
		return nil, false, nil
	}
	u, err = r.UserByName(Fold(r.actor.Name))
	if err == nil && u == nil {
		u = &User{Name: r.actor.Name}
	}
	return u, true, err
}

// mayDecide keeps people from deciding on what is their own, and reviewers from
// what was escalated; lets says that the decision lets the token go on.
func (r *rules) mayDecide(o *Organization, t *Token, lets bool) error {
	u, is, err := r.deciding()
	if err != nil || !is {
		return err
	}
	if err := r.noneOfTheirOwn(o, t, u, lets); err != nil {
		return err
	}
	q, err := r.LatestRequest(t.ID, o.ID)
	if err != nil || q == nil || q.State != authz.RequestOpen || !q.Escalated {
		return err
	}
	periods, err := r.Periods(o.ID, u.ID)
	if err != nil {
		return err
	}
	now := present(periods)
	if now != nil && now.Role == "reviewer" || r.actor.Role == "reviewer" && (now == nil || now.Role != "admin") {
		return &Forbidden{"the request was escalated: an administrator of " + o.Name + " has to decide it"}
	}
	return nil
}

// noneOfTheirOwn keeps a user from deciding on a token behind which the same people
// are: by a token, and where two people are asked for, on what they own; there too
// on that of a service account for which they answer or did; and a service account
// from letting go on what is of those who answer for it.
func (r *rules) noneOfTheirOwn(o *Organization, t *Token, u *User, lets bool) error {
	why, account := "", u.Type == TypeServiceAccount
	switch {
	case u.ID == t.OwnerID:
		if r.actor.Kind != "token" && !o.FourEyes() && !account {
			return nil
		}
	case account && !lets, !account && !o.FourEyes():
		return nil
	default:
		owner, err := r.sameBehind(o, t, u)
		if err != nil || owner == "" {
			return err
		}
		why = fmt.Sprintf(", nor on one of %s, for which %s answers, or did when it was asked for or not long before", owner, u.Name)
		if account {
			why = fmt.Sprintf(", and the same people are behind %s and %s", u.Name, owner)
		}
	}
	return &Forbidden{"nobody decides on a token of their own here" + why + ": ask another administrator of " + o.Name}
}

// stands says whether who voted then could still decide now, and is another person
// than who votes now; nil is somebody who is no user.
func (r *rules) stands(o *Organization, t *Token, who string, now *User) (bool, error) {
	name, isUser := strings.CutPrefix(who, "user:")
	if !isUser {
		return true, nil
	}
	u, err := r.UserByName(name)
	if err != nil || u == nil || u.Type != TypePerson {
		return false, err
	}
	if owner, err := r.sameBehind(o, t, u); err != nil || owner != "" {
		return false, err
	}
	if now != nil {
		after, err := r.since(o, t)
		if err != nil {
			return false, err
		}
		if same, err := r.together(u, now, after); err != nil || same {
			return false, err
		}
	}
	periods, err := r.Periods(o.ID, u.ID)
	role := present(periods)
	return err == nil && role != nil && (role.Role == "admin" || role.Role == "reviewer"), err
}

// behind are the ids of those who are behind a user: it itself, and who answers for
// it in any organization, or did after a moment, whether they are members or not.
// What kind of user it is does not matter: a directory may call a service account a
// person for a while.
func (r *rules) behind(u *User, after time.Time) ([]string, error) {
	people, err := r.Answered(u.ID, after)
	return append(people, u.ID), err
}

// together says whether the same person is behind two users.
func (r *rules) together(a, b *User, after time.Time) (bool, error) {
	one, err := r.behind(a, after)
	if err != nil {
		return false, err
	}
	other, err := r.behind(b, after)
	return slices.ContainsFunc(one, func(id string) bool { return slices.Contains(other, id) }), err
}

// since is from when on who was behind a user counts, for what a token asks for.
func (r *rules) since(o *Organization, t *Token) (time.Time, error) {
	open, err := r.openRequest(t.ID, o.ID)
	if err != nil || open == nil {
		return r.now.Add(-keptOut), err
	}
	return open.OpenedAt.Add(-keptOut), nil
}

// sameBehind returns the name of a token's owner where the same person is behind it
// and behind a user, now or at any time that matters to the request on the token;
// "" where nobody is.
func (r *rules) sameBehind(o *Organization, t *Token, u *User) (string, error) {
	after, err := r.since(o, t)
	if err != nil {
		return "", err
	}
	owner, err := r.UserByID(t.OwnerID)
	if err != nil || owner == nil {
		return "", err
	}
	if same, err := r.together(owner, u, after); err != nil || !same {
		return "", err
	}
	return owner.Name, nil
}
