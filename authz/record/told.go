package record

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Told is a refusal as the token's owner sees it: what their client asked for, and
// what it was told. On what it was decided, and by what, is for administrators;
// they find it by the request's id.
type Told struct {
	RequestID string    `json:"request_id" doc:"The X-Request-Id of the answer: an administrator finds by it why"`
	Time      time.Time `json:"time"`
	Method    string    `json:"method,omitempty"`
	Path      string    `json:"path,omitempty" doc:"Without its query, and without what looks like a secret"`
	Query     []string  `json:"query,omitempty" doc:"The names of the query's parameters"`
	// Permission and Resource (type and name) are what was asked for.
	Permission   string `json:"permission,omitempty"`
	Resource     string `json:"resource,omitempty"`
	Organization string `json:"organization,omitempty" doc:"Absent where the request was about none"`
	Code         string `json:"code" doc:"As the client was told"`
	HTTPStatus   int    `json:"http_status,omitempty"`
	Message      string `json:"message,omitempty" doc:"As the client was told"`
	// Network is where the client asked from, and Client what it says it is.
	Network string `json:"network,omitempty"`
	Client  string `json:"client,omitempty"`
}

// Told is what the token's owner sees of a refusal. The catalogue knows the codes
// that clients are told; of a reason that is not in it (any more) none is told.
func (r *Refusal) Told(catalogue authz.Catalogue) Told {
	out := Told{
		RequestID: r.RequestID, Time: r.Time, Method: r.Request.Method, Path: r.Request.Path, Query: r.Request.Query, Organization: r.Organization,
		HTTPStatus: r.HTTPStatus, Message: r.Message, Network: r.Request.Network, Client: r.Request.Headers["user-agent"],
	}
	if reason := catalogue.Get(r.Reason); reason != nil {
		out.Code = reason.OutsideCode()
	}
	if f := r.asked(); f != nil && f.Route != nil {
		out.Permission = f.Route.Permission
		if on := f.Route.Resource; on != nil {
			out.Resource = strings.TrimSpace(on.Type + " " + on.Name)
		}
	}
	return out
}

// askedFor are the facts on what was asked for.
type askedFor struct {
	Route *struct {
		Permission    string
		Organizations []string
		Resource      *struct{ Type, Name string }
	}
}

// asked is nil where the facts were not kept.
func (r *Refusal) asked() *askedFor {
	var f askedFor
	if len(r.Facts) == 0 || json.Unmarshal(r.Facts, &f) != nil {
		return nil
	}
	return &f
}

// aboutNone says whether a request was about no organization: neither one that
// there is, nor one that there is not. Where that was not kept it is not said.
func (r *Refusal) aboutNone() bool {
	f := r.asked()
	return r.OrganizationID == "" && f != nil && (f.Route == nil || len(f.Route.Organizations) == 0)
}
