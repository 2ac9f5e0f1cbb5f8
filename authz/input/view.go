package input

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// View is the document of some facts as a compiled policy reads it: nothing is
// built before it is asked for. It is the same document as [Builder.Value]
// makes, and fails over the same requests.
//
// A view is used for one evaluation at a time, and again for the next.
type View struct {
	b *Builder
	m *compiled.Machine
	f *authz.Facts
	// request is the part of the document that is built ahead, where it may
	// fail or needs all of the request's attributes.
	request compiled.Value
	// The objects of the document, made when they were first asked for.
	objects [viewObjects]compiled.Value
	headers map[string]string // of a request that repeats some
}

var _ compiled.Lazy = (*View)(nil)

// Reset makes the view one of other facts, and returns the input document. It
// lasts as long as the machine's evaluation.
func (v *View) Reset(b *Builder, m *compiled.Machine, f *authz.Facts) (compiled.Value, error) {
	*v = View{b: b, m: m, f: f}
	if f.Request != nil && b.ahead {
		doc := newObject(b.fields, 8)
		if err := b.addRequest(&doc, f.Request); err != nil {
			return compiled.Value{}, err
		}
		v.request = m.FromTerm(doc.value())
	}
	if f.Organization != nil && b.readsSettings {
		if _, err := v.settings(); err != nil {
			return compiled.Value{}, err
		}
	}
	return m.Lazy(v), nil
}

// Clear lets go of the facts.
func (v *View) Clear() { *v = View{} }

// The objects that a view keeps.
const (
	viewClient = iota
	viewCredential
	viewToken
	viewOwner
	viewOrganization
	viewSettings
	viewMembership
	viewAuthorization
	viewApproval
	viewRoute
	viewResource
	viewAttributes
	viewHTTPRequest
	viewHTTP
	viewHeaders
	viewExtensions
	viewSource
	viewDestination
	viewObjects
)

// object returns one of the view's objects, if it is there.
func (v *View) object(which int, there bool, l compiled.Lazy) compiled.Value {
	if !there {
		return compiled.Value{}
	}
	if !v.objects[which].Defined() {
		v.objects[which] = v.m.Lazy(l)
	}
	return v.objects[which]
}

// patrolValue and versionValue are the same in all documents.
var (
	names        = compiled.NewInterner()
	patrolValue  = names.FreezeObject(compiled.Member{Name: "version", Value: compiled.Integer(contract)})
	versionValue = names.FreezeTerm(version)
)

// Get implements [compiled.Lazy].
func (v *View) Get(key string) compiled.Value {
	f := v.f
	switch key {
	case "token":
		return v.object(viewToken, f.Token != nil, (*tokenView)(v))
	case "organization":
		if f.Organization == nil {
			return compiled.Value{}
		}
		if o, ok := f.Organization.Frozen.(*frozen); ok {
			return o.value
		}
		return v.object(viewOrganization, true, (*organizationView)(v))
	case "route":
		return v.object(viewRoute, f.Route != nil, (*routeView)(v))
	case "credential":
		return v.object(viewCredential, f.Credential != (authz.CredentialFacts{}), (*credentialView)(v))
	case "authorization":
		return v.object(viewAuthorization, f.Authorization != nil, (*authorizationView)(v))
	case "membership":
		return v.object(viewMembership, f.Membership != nil, (*membershipView)(v))
	case "client":
		return v.object(viewClient, f.Client != (authz.Client{}), (*clientView)(v))
	case "now":
		return v.b.nowText(f.Now)
	case "patrol":
		return patrolValue
	}
	if f.Request == nil {
		return compiled.Value{}
	}
	return v.requestMember(key)
}

// Fill implements [compiled.Lazy].
func (v *View) Fill(put func(string, compiled.Value)) {
	fill(v, put,
		"attributes", "parsed_path", "parsed_query", "parsed_body", "truncated_body", "version", "source_principal", "destination_principal",
		"patrol", "now", "client", "credential", "token", "organization", "membership", "authorization", "route")
}

// fill puts all members that a view has.
func fill(l compiled.Lazy, put func(string, compiled.Value), keys ...string) {
	for _, k := range keys {
		put(k, l.Get(k))
	}
}

// text is a string that is there unless it is empty.
func text(s string) compiled.Value {
	if s == "" {
		return compiled.Value{}
	}
	return compiled.Text(s)
}

// timeText is a time that is there unless it is zero.
func timeText(t time.Time) compiled.Value {
	if t.IsZero() {
		return compiled.Value{}
	}
	return compiled.Text(t.UTC().Format(time.RFC3339))
}

// clock is a second and its text: requests of the same second share it.
type clock struct {
	at   time.Time
	text compiled.Value
}

// lastClock is the text of the last second that was asked for.
type lastClock = atomic.Pointer[clock]

func (b *Builder) nowText(now time.Time) compiled.Value {
	if c := b.clock.Load(); c != nil && c.at.Equal(now) && c.at.Location() == now.Location() {
		return c.text
	}
	c := &clock{now, timeText(now)}
	b.clock.Store(c)
	return c.text
}

// lower says whether a name is written as headers are.
func lower(name string) bool { return strings.ToLower(name) == name }
