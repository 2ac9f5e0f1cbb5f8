package notify

import (
	"net/url"
	"strings"
	"time"
)

// View is what templates see.
type View struct {
	Kind         string
	Audience     string
	Organization Organization
	// Token is the one token that a message is about; Tokens are all of them,
	// where several were gathered.
	Token  Token
	Tokens []Token
	// Many says that several tokens were gathered.
	Many bool
	// More are those that are not listed.
	More int
	// Stops says what a dated change of policy will stop; nil in other messages.
	Stops    *Stops
	Findings []Finding
	// Confirm is the address in question; nil in other messages.
	Confirm *Confirmation
	// Queue is the page of all open requests, Policy that of the policy, and
	// Listing that of all tokens, those with the gravest findings first; Mine is
	// the page of an owner's tokens. "" without a public URL.
	Queue, Policy, Listing, Mine string
	// Helpers are administrators of the organization by name, for an owner who asks
	// somebody; there may be none.
	Helpers []string
	// Now is when the message was made.
	Now time.Time
	// Due is when it was due, where patrol did not run then and tells it late; zero
	// else.
	Due time.Time
}

// links makes the addresses of pages below the public URL.
type links string

func (l links) at(path string) string {
	if l == "" {
		return ""
	}
	return strings.TrimRight(string(l), "/") + path
}

func (l links) review(organization, token string) string {
	return l.at("/organizations/" + url.PathEscape(organization) + "/review/" + url.PathEscape(token))
}

// inspected is the administrators' page of a token: how it is used, and what they
// may do.
func (l links) inspected(organization, token string) string {
	return l.at("/organizations/" + url.PathEscape(organization) + "/tokens/" + url.PathEscape(token))
}

func (l links) queue(organization string) string {
	return l.at("/organizations/" + url.PathEscape(organization) + "/review")
}

func (l links) policy(organization string) string {
	return l.at("/organizations/" + url.PathEscape(organization) + "/policy")
}

func (l links) listing(organization string) string {
	return l.at("/organizations/" + url.PathEscape(organization) + "/tokens?sort=-severity")
}

func (l links) token(organization, token string) string {
	return l.at("/tokens/" + url.PathEscape(token) + "?organization=" + url.QueryEscape(organization))
}

// about is the page that a channel of a team is led to.
func (v *View) about() string {
	switch {
	case aboutPolicy[v.Kind]:
		return v.Policy
	case v.Kind == HygieneDigest:
		return v.Listing
	}
	return v.Token.Link
}

// view puts together what the subjects of some jobs have in common: they are of
// one kind, audience and organization.
func (l links) view(job Job, subjects []*Subject, now time.Time) View {
	v := View{Kind: job.Event.Kind, Audience: job.Audience, Mine: l.at("/me"), Now: now}
	if late[job.Event.Kind] {
		v.Due = job.Event.At
	}
	for _, s := range subjects {
		v.Organization, v.Helpers = s.Organization, s.Helpers
		v.Findings = append(v.Findings, s.Findings...)
		v.More += s.More
		if s.Stops != nil {
			v.Stops = s.Stops
		}
		if s.Confirm != nil {
			c := *s.Confirm
			c.Link, c.Code = l.at("/confirm?code="+url.QueryEscape(c.Code)), ""
			v.Confirm = &c
		}
		for _, t := range s.Tokens {
			t.Link = l.token(s.Organization.Name, t.ID)
			v.Tokens = append(v.Tokens, t)
		}
		if s.Token == nil {
			continue
		}
		t := *s.Token
		t.Link = l.token(s.Organization.Name, t.ID)
		if job.Audience != Owner && job.Audience != Responsible {
			if t.Link = l.review(s.Organization.Name, t.ID); job.Event.Kind == TokenReused {
				t.Link = l.inspected(s.Organization.Name, t.ID)
			}
		}
		v.Tokens = append(v.Tokens, t)
	}
	if v.Organization.Name != "" {
		v.Queue, v.Policy, v.Listing = l.queue(v.Organization.Name), l.policy(v.Organization.Name), l.listing(v.Organization.Name)
	}
	v.Many = len(v.Tokens) > 1
	if len(v.Tokens) > 0 {
		v.Token = v.Tokens[0]
	}
	return v
}
