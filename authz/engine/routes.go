package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// RouteRule is the rule of an overlay that says what a request is about, before
// the route table is looked at.
const RouteRule = "local/routing/route"

// Routes asks the rule. It sees what Envoy sent and nothing of the inventory:
// which facts there are depends on its answer.
type Routes struct{ topdown *Topdown }

// NewRoutes prepares the rule of a bundle; nil where the bundle has none.
func NewRoutes(ctx context.Context, o Options) (*Routes, error) {
	if o.Compiler == nil || len(o.Compiler.GetRulesExact(PathRef(RouteRule))) == 0 {
		return nil, nil
	}
	o.Decisions = []string{RouteRule}
	t, err := NewTopdown(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Routes{t}, nil
}

// Route returns what the rule says of a request; nil where it says nothing.
func (r *Routes) Route(req authz.Request) (*authz.Route, error) {
	now := time.Now().UTC().Truncate(time.Second)
	in, err := r.topdown.builder.Value(&authz.Facts{Request: req, Now: now, Credential: authz.CredentialFacts{State: authz.CredentialMissing}})
	if err != nil {
		return nil, fmt.Errorf("build the input: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.topdown.timeout)
	defer cancel()
	v, err := r.topdown.evaluate(ctx, &r.topdown.entries[0], in, now)
	if errors.Is(err, ErrUndefined) {
		return nil, nil
	}
	if err == nil {
		var route *authz.Route
		if route, err = decodeRoute(v); err == nil {
			return route, nil
		}
	}
	return nil, fmt.Errorf("data.local.routing.route: %w", err)
}

// decodeRoute reads an object. What it does not know is an error: a misspelt
// member would open what it was to close.
func decodeRoute(v ast.Value) (*authz.Route, error) {
	if _, ok := v.(ast.Object); !ok {
		return nil, fmt.Errorf("the route is of type %s, not an object", ast.ValueName(v))
	}
	plain, err := ast.JSON(v)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	var told struct {
		Organizations []string `json:"organizations"`
		Permission    string   `json:"permission"`
		Access        string   `json:"access"`
		Pattern       string   `json:"pattern"`
		Resource      *struct {
			Type       string `json:"type"`
			ID         string `json:"id"`
			Name       string `json:"name"`
			Visibility string `json:"visibility"`
		} `json:"resource"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&told); err != nil {
		return nil, err
	}
	out := &authz.Route{Pattern: told.Pattern, Access: told.Access, Permission: told.Permission, Organizations: told.Organizations}
	if r := told.Resource; r != nil {
		out.Resource = &authz.Resource{Type: r.Type, ID: r.ID, Name: r.Name, Visibility: r.Visibility}
	}
	return out, nil
}
