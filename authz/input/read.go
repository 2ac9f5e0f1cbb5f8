package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// requestKeys are the members of a document that are the request's own part.
var requestKeys = []string{"attributes", "parsed_path", "parsed_query", "parsed_body", "truncated_body", "version", "source_principal", "destination_principal"}

// ReadFacts reads the facts that [AppendFacts] wrote; the request's own part of
// a whole document is passed over. Facts that do not come to the same document
// again are an error: one that lacks a part, or was written by another version,
// is not taken for what it says without it.
func ReadFacts(document []byte) (*authz.Facts, error) {
	whole, err := decodeNumbers(document)
	if err != nil {
		return nil, err
	}
	object, ok := whole.(map[string]any)
	if !ok {
		return nil, errors.New("they are no JSON object")
	}
	own, parts := document, len(object)
	maps.DeleteFunc(object, func(key string, _ any) bool { return slices.Contains(requestKeys, key) })
	if len(object) < parts {
		if own, err = json.Marshal(object); err != nil {
			return nil, err
		}
	}
	var d factsDocument
	dec := json.NewDecoder(bytes.NewReader(own))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return nil, err
	}
	if d.Patrol.Version != contract {
		return nil, fmt.Errorf("patrol.version is %d, not %d", d.Patrol.Version, contract)
	}
	if d.Now.IsZero() {
		return nil, errors.New("now is missing")
	}
	f := d.facts()
	again, err := AppendFacts(nil, f, nil)
	if err != nil {
		return nil, err
	}
	come, err := decodeNumbers(again)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(whole, come) {
		return nil, fmt.Errorf("%s is missing, or does not go with the rest", differsAt(whole, come))
	}
	return f, nil
}

func decodeNumbers(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

// differsAt is the path of the first difference of two documents that differ.
func differsAt(a, b any) string {
	x, y := members(a), members(b)
	for _, key := range slices.Sorted(maps.Keys(both(x, y))) {
		had, before := x[key]
		has, after := y[key]
		if before != after || !reflect.DeepEqual(had, has) {
			return strings.TrimSuffix(key+"."+differsAt(had, has), ".")
		}
	}
	return ""
}

// members are those of an object, or of a list by their places.
func members(v any) map[string]any {
	if list, ok := v.([]any); ok {
		out := make(map[string]any, len(list))
		for i, item := range list {
			out[strconv.Itoa(i)] = item
		}
		return out
	}
	out, _ := v.(map[string]any)
	return out
}

func both(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		return b
	}
	maps.Copy(out, b)
	return out
}

// factsDocument is patrol's part of a document.
type factsDocument struct {
	Patrol struct {
		Version int `json:"version"`
	} `json:"patrol"`
	Now    time.Time `json:"now"`
	Client struct {
		Address string `json:"address"`
		Network string `json:"network"`
	} `json:"client"`
	Credential struct {
		State    string `json:"state"`
		Scheme   string `json:"scheme"`
		Disabled bool   `json:"disabled"`
	} `json:"credential"`
	Token         *tokenDocument         `json:"token"`
	Organization  *organizationDocument  `json:"organization"`
	Membership    *membershipDocument    `json:"membership"`
	Authorization *authorizationDocument `json:"authorization"`
	Route         *routeDocument         `json:"route"`
}

type tokenDocument struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"display_name"`
	Last4       string    `json:"last4"`
	Kind        string    `json:"kind"`
	Source      string    `json:"source"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Expired     bool      `json:"expired"`
	Age         int64     `json:"age_seconds"`
	Remaining   int64     `json:"remaining_seconds"`
	Owner       *struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"owner"`
	Grants *[]authz.Grant `json:"grants"`
	Global []string       `json:"global"`
}

type organizationDocument struct {
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Type            string         `json:"type"`
	TokenPolicy     string         `json:"token_policy"`
	NextTokenPolicy string         `json:"next_token_policy"`
	EnforceAt       time.Time      `json:"enforce_at"`
	Enforcement     string         `json:"enforcement"`
	ManagedBy       string         `json:"managed_by"`
	Settings        map[string]any `json:"settings"`
}

type membershipDocument struct {
	Role  string    `json:"role"`
	Since time.Time `json:"since"`
}

type authorizationDocument struct {
	State        string         `json:"state"`
	ExpiresAt    time.Time      `json:"expires_at"`
	Expired      bool           `json:"expired"`
	Suspended    bool           `json:"suspended"`
	AdminCreated bool           `json:"admin_created"`
	Grants       *[]authz.Grant `json:"grants"`
	Current      *[]authz.Grant `json:"current"`
	Effective    *[]authz.Grant `json:"effective"`
	Request      *struct {
		ID       string    `json:"id"`
		State    string    `json:"state"`
		OpenedAt time.Time `json:"opened_at"`
	} `json:"request"`
}

type routeDocument struct {
	Pattern       string   `json:"pattern"`
	Access        string   `json:"access"`
	Permission    string   `json:"permission"`
	Organizations []string `json:"organizations"`
	Resource      *struct {
		Type       string `json:"type"`
		ID         string `json:"id"`
		Name       string `json:"name"`
		Visibility string `json:"visibility"`
	} `json:"resource"`
}

func (d *factsDocument) facts() *authz.Facts {
	f := &authz.Facts{
		Now: d.Now.UTC(), Client: authz.Client{Address: d.Client.Address, Network: d.Client.Network},
		Credential: authz.CredentialFacts{State: d.Credential.State, Scheme: d.Credential.Scheme, Disabled: d.Credential.Disabled},
	}
	if d.Token != nil {
		f.Token = d.Token.token(f.Now)
	}
	if o := d.Organization; o != nil {
		f.Organization = &authz.Organization{
			ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy, EnforceAt: o.EnforceAt.UTC(),
			Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, Settings: o.Settings,
		}
	}
	if m := d.Membership; m != nil {
		f.Membership = &authz.Membership{Role: m.Role, Since: m.Since.UTC()}
	}
	if a := d.Authorization; a != nil {
		f.Authorization = a.authorization(f.Now)
		f.Current, f.Effective = grantSet(a.Current), grantSet(a.Effective)
	}
	if r := d.Route; r != nil {
		f.Route = &authz.Route{Pattern: r.Pattern, Access: r.Access, Permission: r.Permission, Organizations: r.Organizations}
		if on := r.Resource; on != nil {
			f.Route.Resource = &authz.Resource{Type: on.Type, ID: on.ID, Name: on.Name, Visibility: on.Visibility}
		}
	}
	return f
}

func (t *tokenDocument) token(now time.Time) *authz.Token {
	out := &authz.Token{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Source: t.Source, Grants: grantSet(t.Grants), Global: t.Global,
		CreatedAt: instant(t.CreatedAt, func(at time.Time) bool { return seconds(now.Sub(at)) == t.Age }),
		ExpiresAt: instant(t.ExpiresAt, func(at time.Time) bool {
			return ended(at, now) == t.Expired && seconds(at.Sub(now)) == t.Remaining
		}),
	}
	if t.Owner != nil {
		out.Owner = &authz.Owner{Name: t.Owner.Name, Type: t.Owner.Type}
	}
	return out
}

func (a *authorizationDocument) authorization(now time.Time) *authz.Authorization {
	out := &authz.Authorization{
		State: a.State, Grants: grantSet(a.Grants), Suspended: a.Suspended, AdminCreated: a.AdminCreated,
		ExpiresAt: instant(a.ExpiresAt, func(at time.Time) bool { return ended(at, now) == a.Expired }),
	}
	if r := a.Request; r != nil {
		out.Request = &authz.ApprovalRequest{ID: r.ID, State: r.State, OpenedAt: r.OpenedAt.UTC()}
	}
	return out
}

func grantSet(list *[]authz.Grant) *authz.GrantSet {
	if list == nil {
		return nil
	}
	return &authz.GrantSet{Grants: *list}
}

// instant is a time of a document, which has no fraction of its second: with one
// where what the document says of it asks for it.
func instant(at time.Time, fits func(time.Time) bool) time.Time {
	at = at.UTC()
	if within := at.Add(time.Second / 2); !at.IsZero() && !fits(at) && fits(within) {
		return within
	}
	return at
}
