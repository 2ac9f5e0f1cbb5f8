package decide

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/routing"
)

// Replayed is a request of which a record holds a part. What is asked for beyond
// that is answered as if it were not there, and noted.
type Replayed interface {
	authz.Request
	// Missing is what was asked for and is not held, since Forget.
	Missing() []string
	Forget()
	// HasQuery: there was a query, which is not held.
	HasQuery() bool
	// Whole: method, path and host are held as they were sent.
	Whole() bool
}

// Lacking says that a record does not hold what a decision depends on.
type Lacking struct{ What []string }

func (l *Lacking) Error() string { return "the record does not hold " + strings.Join(l.What, ", ") }

func lacking(what string) error { return &Lacking{[]string{what}} }

// Again decides on a recorded request by other rules, as [Judge] does on facts: the
// rules say what the request is about, and what comes of it. Nothing is taken for
// absent because a record does not hold it: that is an error, [*Lacking], and no
// error is an allow.
func Again(ctx context.Context, rules *authz.Ruleset, f *authz.Facts, q Replayed) (authz.Decision, error) {
	if rules == nil || rules.Router == nil {
		return authz.Decision{}, errors.New("no policy bundle is active")
	}
	route, err := routeAgain(rules.Router, f.Route, q)
	var malformed *authz.Refusal
	switch {
	case errors.As(err, &malformed):
		return authz.Decision{Reason: malformed.Reason, Reasons: []string{malformed.Reason}}, nil
	case err != nil:
		return authz.Decision{}, err
	}
	on, err := onRoute(f, route)
	if err != nil {
		return authz.Decision{}, err
	}
	on.Request = q
	q.Forget()
	d, err := Judge(ctx, rules, on)
	if missing := q.Missing(); len(missing) > 0 {
		return authz.Decision{}, &Lacking{missing}
	}
	if err == nil && d.Allowed && route != nil && len(route.Organizations) > 1 {
		// All must allow; a record is about the one that decided.
		return authz.Decision{}, lacking("the facts on each organization that it was about")
	}
	return d, err
}

// routeAgain says what a recorded request is about by other routes. Where that
// depends on what a record does not hold, it is about what it was about, as long as
// the same entry would serve it.
func routeAgain(router authz.Router, was *authz.Route, q Replayed) (*authz.Route, error) {
	if !q.Whole() {
		return nil, lacking("the whole path")
	}
	if !q.HasQuery() {
		q.Forget()
		route, err := router.Route(q)
		if len(q.Missing()) == 0 {
			return route, err
		}
	}
	table, ok := router.(interface {
		Near(authz.Request) ([]*routing.Entry, error)
	})
	if !ok {
		return nil, lacking("what its route depends on")
	}
	near, err := table.Near(q)
	if err != nil {
		return nil, err
	}
	if was == nil {
		if len(near) > 0 {
			return nil, lacking("the query or the body, by which " + near[0].Pattern + " serves it or not")
		}
		return nil, nil
	}
	for _, e := range near {
		if e.Gave(was) {
			return was, nil
		}
		if e.Pattern != was.Pattern || len(e.Query) == 0 {
			break
		}
	}
	return nil, lacking("the query or the body, by which another route than " + was.Pattern + " may serve it")
}

// onRoute are the facts of a recorded request, as far as another route asks for
// them.
func onRoute(f *authz.Facts, route *authz.Route) (*authz.Facts, error) {
	on, was := *f, f.Route
	on.Route = route
	switch {
	case route == nil, len(route.Organizations) == 0:
		if route != nil && route.Access == authz.AccessUnmanaged { // the credential is not looked at
			return &authz.Facts{Now: f.Now, Client: f.Client, Route: route}, nil
		}
		on.Organization, on.Membership, on.Authorization, on.Current, on.Effective = nil, nil, nil, nil, nil
	case was == nil || !slices.Equal(was.Organizations, route.Organizations):
		return nil, lacking("the facts on " + strings.Join(route.Organizations, ", ") + ", which " + route.Pattern + " says it is about")
	case on.Organization != nil && len(route.Organizations) == 1:
		on.Route = underName(route, route.Organizations[0], on.Organization.Name)
	}
	if route != nil && was != nil && was.Access == authz.AccessUnmanaged {
		return nil, lacking("the credential, which was not looked at")
	}
	return &on, nil
}
