package scim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Path is where the organizations' endpoints are: Path + NAME.
const Path = "/scim/v2/"

const (
	maxBody     = 1 << 20
	maxResults  = 200
	minToken    = 32 // characters of a bearer token
	maxInMemory = 20_000
)

// Commands changes memberships; when Do returns without an error, the change is
// durable and in force.
type Commands interface {
	Do(context.Context, inventory.Actor, inventory.Command) (inventory.Result, error)
}

// Store keeps what directories provision.
type Store interface {
	ReadDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error
	WriteDirectory(ctx context.Context, organizationID string, f func(inventory.Directory) error) error
	Organization(ctx context.Context, name string) (*inventory.OrganizationRow, error)
	// Roles are the organizations, by name, that a user is a member of.
	Roles(ctx context.Context, user string) (map[string]string, error)
}

// Organization is one whose directory keeps its members.
type Organization struct {
	Name string
	// TokenFile holds the bearer token: one line, at least 32 characters; read at
	// each request, so that it can be changed. "": tokens that the judge admits alone.
	TokenFile string
	// Groups give roles, by displayName; of several the first counts.
	Groups []Group
	// DefaultRole is that of active users in none of the groups; "": they are no
	// members.
	DefaultRole string
	// WholeName takes the whole userName as the user's name; else what stands
	// before an @.
	WholeName bool
}

// Group gives the members of a directory's group a role.
type Group struct{ Name, Role string }

// Judge admits tokens of the inventory.
type Judge interface {
	// Admit says who acts for an organization with the token that a request carries,
	// or how it is refused.
	Admit(r *http.Request, organization string) (inventory.Actor, *Refusal)
}

// Refusal is why a request is refused.
type Refusal struct {
	Status int
	Detail string
	Header http.Header
}

// Options of the endpoints; all are required but Log.
type Options struct {
	Organizations []Organization
	Commands      Commands
	Store         Store
	Judge         Judge
	Clock         func() time.Time
	Log           *slog.Logger
}

// Server answers below [Path].
type Server struct {
	Options
	byName map[string]*endpoint
}

// endpoint is one organization's.
type endpoint struct {
	Organization
	*Server
	handler http.Handler
	mu      sync.Mutex // one change at a time
}

// New makes the endpoints.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, byName: map[string]*endpoint{}}
	for _, org := range o.Organizations {
		e := &endpoint{Organization: org, Server: s}
		types := []lib.ResourceType{
			{
				ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Description: optional.NewString("Members and service accounts"), Schema: userSchema,
				SchemaExtensions: []lib.SchemaExtension{{Schema: enterprise}}, Handler: &users{e},
			},
			{ID: optional.NewString("Group"), Name: "Group", Endpoint: "/Groups", Description: optional.NewString("Groups, some of which give a role"), Schema: groupSchema, Handler: &groups{e}},
		}
		server, err := lib.NewServer(&lib.ServerArgs{ServiceProviderConfig: &lib.ServiceProviderConfig{
			MaxResults: maxResults, SupportFiltering: true, SupportPatch: true,
			AuthenticationSchemes: []lib.AuthenticationScheme{{Type: lib.AuthenticationTypeOauthBearerToken, Name: "Bearer token", Description: "The token of the configuration, or one with the permission org.scim.write", Primary: true}},
		}, ResourceTypes: types}, lib.WithBaseURL(Path+org.Name))
		if err != nil {
			return nil, err
		}
		e.handler = server
		s.byName[org.Name] = e
	}
	return s, nil
}

var (
	userSchema  = schema.CoreUserSchema()
	groupSchema = schema.CoreGroupSchema()
	enterprise  = schema.ExtensionEnterpriseUser()
)

// ServeHTTP answers who has an organization's token, below its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	e := s.byName[inventory.Fold(name)]
	actor := inventory.Actor{Kind: "scim", Name: "scim:" + inventory.Fold(name)}
	if !e.admits(r) { // an organization that is not there looks the same
		var refused *Refusal
		if actor, refused = s.Judge.Admit(r, name); refused != nil {
			maps.Copy(w.Header(), refused.Header)
			tell(w, refused.Status, refused.Detail)
			return
		}
		if e == nil {
			tell(w, http.StatusNotFound, "No directory keeps the members of this organization: scim.organizations does not name it.")
			return
		}
	}
	if r.ContentLength > maxBody {
		tell(w, http.StatusRequestEntityTooLarge, "The request is longer than 1 MiB.")
		return
	}
	if !normalize(w, r) {
		return
	}
	inner := r.Clone(context.WithValue(r.Context(), actorKey{}, actor))
	inner.URL = &url.URL{Path: "/" + rest, RawQuery: r.URL.RawQuery}
	e.handler.ServeHTTP(w, inner)
}

// admits compares the bearer token with the organization's, in constant time.
func (e *endpoint) admits(r *http.Request) bool {
	sent := r.Header.Values("Authorization")
	var given string
	if len(sent) == 1 {
		if scheme, token, ok := strings.Cut(sent[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
			given = token
		}
	}
	if e == nil || given == "" || e.TokenFile == "" {
		return false
	}
	want, err := ReadToken(e.TokenFile)
	if err != nil {
		e.Log.Error("the token of a directory can't be read", "organization", e.Name, "error", err)
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// ReadToken reads a file with a directory's token.
func ReadToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", errors.New(file + ": a token is one line of at least 32 characters without spaces")
	}
	return token, nil
}

// role is that of a user by the groups that it is in.
func (o *Organization) role(groups []*inventory.Provisioned) string {
	for _, g := range o.Groups {
		if slices.ContainsFunc(groups, func(p *inventory.Provisioned) bool { return p.Name == fold(g.Name) }) {
			return g.Role
		}
	}
	return o.DefaultRole
}

// fold is how names are compared: a userName and a group's name differ not by
// case.
func fold(name string) string { return inventory.Fold(strings.TrimSpace(name)) }

// id of the organization, and nil where it is not there (any more).
func (e *endpoint) id(ctx context.Context) (string, error) {
	o, err := e.Store.Organization(ctx, e.Name)
	var missing *inventory.NotFound
	if errors.As(err, &missing) || err == nil && o == nil {
		return "", scimerrors.ScimError{Status: http.StatusNotFound, Detail: "The organization " + e.Name + " does not exist."}
	}
	if err != nil {
		return "", e.told(err)
	}
	return o.ID, nil
}

// read and write open the directory of the organization. Errors that are no
// SCIM ones are logged, and told as the server's.
func (e *endpoint) read(ctx context.Context, f func(inventory.Directory) error) error {
	id, err := e.id(ctx)
	if err == nil {
		err = e.told(e.Store.ReadDirectory(ctx, id, f))
	}
	return err
}

func (e *endpoint) write(ctx context.Context, f func(inventory.Directory) error) error {
	id, err := e.id(ctx)
	if err == nil {
		err = e.told(e.Store.WriteDirectory(ctx, id, f))
	}
	return err
}

// told is an error as the client hears it.
func (e *endpoint) told(err error) error {
	var ours scimerrors.ScimError
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &invalid):
		return invalidValue(invalid.Error())
	case errors.As(err, &conflict):
		return scimerrors.ScimError{ScimType: scimerrors.ScimTypeUniqueness, Detail: conflict.Error(), Status: http.StatusConflict}
	}
	e.Log.Error("a directory's request failed", "organization", e.Name, "error", err)
	return scimerrors.ScimErrorInternal
}

func invalidValue(detail string) error {
	return scimerrors.ScimError{ScimType: scimerrors.ScimTypeInvalidValue, Detail: detail, Status: http.StatusBadRequest}
}

type actorKey struct{}

// actor is how the audit shows the directory: by its organization, or by the
// token that it came with.
func actor(ctx context.Context) inventory.Actor {
	a, _ := ctx.Value(actorKey{}).(inventory.Actor)
	return a
}
