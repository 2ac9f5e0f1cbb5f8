package console

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// ProviderOptions say who logs people in, by OpenID Connect. Issuer, ClientID
// and RedirectURL are required.
type ProviderOptions struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	// RedirectURL is the public URL with /login/callback.
	RedirectURL string
	Scopes      []string // default openid, profile, email
	// UserClaim is the claim with the user's name in the inventory; default
	// preferred_username.
	UserClaim string
	// GroupsClaim is the claim with the groups; default groups.
	GroupsClaim string
	// Groups gives roles: whoever is in a group has a role in an organization.
	Groups []GroupRole
	// SystemOwners are the users who are operators.
	SystemOwners []string
}

// GroupRole gives members of a group a role in an organization.
type GroupRole struct{ Group, Organization, Role string }

// Provider is an OpenID Connect provider. It is asked for its configuration at
// the first login, and again where that failed: it need not run at the start.
type Provider struct {
	options ProviderOptions
	mu      sync.Mutex
	found   *oidc.Provider
}

// NewProvider checks the options; it does not connect.
func NewProvider(o ProviderOptions) (*Provider, error) {
	if u, err := url.Parse(o.Issuer); err != nil || u.Host == "" {
		return nil, fmt.Errorf("issuer: %q is no address", o.Issuer)
	}
	if o.ClientID == "" {
		return nil, errors.New("client_id: is missing")
	}
	if o.RedirectURL == "" {
		return nil, errors.New("redirect_url: is missing")
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	if o.UserClaim == "" {
		o.UserClaim = "preferred_username"
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	for i, g := range o.Groups {
		if g.Group == "" || g.Organization == "" || rank[g.Role] == 0 {
			return nil, fmt.Errorf("groups[%d]: needs group, organization, and a role, admin or reviewer", i)
		}
	}
	return &Provider{options: o}, nil
}

func (p *Provider) find(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// The provider keeps the context for its keys: it must outlive the request.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), impatient), p.options.Issuer)
		if err != nil {
			return nil, nil, err
		}
		p.found = found
	}
	o := p.options
	return p.found, &oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: p.found.Endpoint(), RedirectURL: o.RedirectURL, Scopes: o.Scopes}, nil
}

const loginCookie = "patrol_login"

// loginFor is how long somebody may take at the provider.
const loginFor = 10 * time.Minute

// attempt is a login on its way. It is in a cookie of the browser that began
// it: an answer brought by another one matches nothing.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"to"`
}

func (c *Console) startLogin(w http.ResponseWriter, r *http.Request) {
	if c.Provider == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	_, config, err := c.Provider.find(r.Context())
	if err != nil {
		c.Log.Error("the login provider cannot be asked", "issuer", c.Provider.options.Issuer, "error", err)
		c.fail(w, r, nil, unreachable(err))
		return
	}
	t := attempt{State: newSecret(), Nonce: newSecret(), Verifier: oauth2.GenerateVerifier(), Next: localPath(r.URL.Query().Get("next"))}
	text, err := json.Marshal(t)
	if err != nil {
		c.fail(w, r, nil, c.explain(err))
		return
	}
	cookie := c.cookie(r, loginCookie, encode(text), loginFor)
	cookie.Path = "/login"
	http.SetCookie(w, cookie)
	http.Redirect(w, r, config.AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)), http.StatusSeeOther)
}

// unreachable tells of a provider that cannot be asked.
func unreachable(err error) *failure {
	var other *oidc.IssuerMismatchError
	if errors.As(err, &other) {
		return &failure{http.StatusBadGateway, "Another login provider answers", "What answers at the address of the login provider says that it is another one. Nobody is logged in by it; the server's log names both."}
	}
	return &failure{http.StatusBadGateway, "The login is out of reach", "The login provider does not answer. Try again later."}
}

var badLogin = &failure{http.StatusBadRequest, "The login did not work", "The answer of the login provider could not be used: it is too old, was used before, or was meant for somebody else. Log in again."}

func (c *Console) finishLogin(w http.ResponseWriter, r *http.Request) {
	caller, email, next, err := c.finish(r)
	over := c.cookie(r, loginCookie, "", -time.Second)
	over.Path = "/login"
	http.SetCookie(w, over)
	if err == nil {
		err = c.login(w, r, caller)
	}
	if err == nil {
		c.provided(r.Context(), caller.Name, email)
	}
	var f *failure
	if err != nil && !errors.As(err, &f) {
		c.Log.Warn("a login was refused", "error", err)
		f = badLogin
	}
	if f != nil {
		c.fail(w, r, nil, f)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// finish checks the provider's answer: its state, the code with its verifier
// (RFC 7636), and the ID token with its issuer, audience, end and nonce. It
// returns an address that the provider has verified, and where to go.
func (c *Console) finish(r *http.Request) (who Caller, email, next string, err error) {
	var none Caller
	if c.Provider == nil {
		return none, "", "", badLogin
	}
	cookie, err := r.Cookie(loginCookie)
	if err != nil {
		return none, "", "", badLogin
	}
	var t attempt
	if text, err := decode(cookie.Value); err != nil || json.Unmarshal(text, &t) != nil || t.State == "" {
		return none, "", "", badLogin
	}
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(t.State)) != 1 {
		return none, "", "", errors.New("the state does not match")
	}
	if q.Get("error") != "" {
		return none, "", "", &failure{http.StatusForbidden, "Not logged in", "The login provider refused the login."}
	}
	provider, config, err := c.Provider.find(r.Context())
	if err != nil {
		return none, "", "", err
	}
	if err := fromIssuer(q, provider); err != nil {
		return none, "", "", err
	}
	token, err := config.Exchange(oidc.ClientContext(r.Context(), impatient), q.Get("code"), oauth2.VerifierOption(t.Verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) {
			err = fmt.Errorf("the provider refused the code: %s", refused.ErrorCode) // its body may repeat the code
		}
		return none, "", "", err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: c.Provider.options.ClientID, Now: c.Clock}).Verify(r.Context(), raw)
	if err != nil {
		return none, "", "", err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		return none, "", "", errors.New("the nonce does not match")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return none, "", "", err
	}
	who, err = c.Provider.caller(claims)
	return who, verifiedAddress(claims), localPath(t.Next), err
}

// verifiedAddress is an address that the provider has verified (OpenID Connect
// Core, section 5.1), or "". Some give the word as text.
func verifiedAddress(claims map[string]any) string {
	if v := claims["email_verified"]; v != true && v != "true" {
		return ""
	}
	email, _ := claims["email"].(string)
	return email
}

// fromIssuer checks that the answer is the provider's own, where it says so
// itself (RFC 9207): a code of another one is not brought to it.
func fromIssuer(q url.Values, provider *oidc.Provider) error {
	var about struct {
		Issuer string `json:"issuer"`
		Says   bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&about); err != nil {
		return err
	}
	if (about.Says || q.Has("iss")) && q.Get("iss") != about.Issuer {
		return fmt.Errorf("the answer is of the issuer %q", q.Get("iss"))
	}
	return nil
}

// validUser is what a user's name may be in the inventory.
var validUser = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)

// impatient asks the provider: one that hangs must not hold logins up.
var impatient = &http.Client{Timeout: 10 * time.Second}

// operator says whether a user is an operator by the present configuration.
func (p *Provider) operator(name string) bool {
	return p != nil && slices.Contains(p.options.SystemOwners, name)
}

// brought says whether it is this provider that said who somebody is.
func (p *Provider) brought(caller *Caller) bool {
	return p != nil && caller.Issuer == p.options.Issuer
}

// caller reads who somebody is, and their groups.
func (p *Provider) caller(claims map[string]any) (Caller, error) {
	name, _ := claims[p.options.UserClaim].(string)
	// Before folding: letters that only look like others fold to them.
	if !validUser.MatchString(name) {
		return Caller{}, &failure{http.StatusForbidden, "Not known here", "The login provider did not say who you are by a name that can be one here (claim " + p.options.UserClaim + ")."}
	}
	name = strings.ToLower(name)
	return Caller{Name: name, Operator: p.operator(name), Issuer: p.options.Issuer, Groups: p.groups(claims[p.options.GroupsClaim])}, nil
}

// mostGroups and longestGroup bound what a session keeps of a claim.
const (
	mostGroups   = 1000
	longestGroup = 256 // bytes
)

// groups reads a claim. Those that are mapped come first, so that of a claim
// beyond the bounds nothing is lost that gives a role.
func (p *Provider) groups(claim any) []string {
	all, _ := claim.([]any)
	var mapped, others []string
	for _, one := range all {
		name, ok := one.(string)
		switch {
		case !ok:
		case slices.ContainsFunc(p.options.Groups, func(g GroupRole) bool { return g.Group == name }):
			mapped = append(mapped, name)
		case len(name) <= longestGroup:
			others = append(others, name)
		}
	}
	return append(mapped, others[:max(0, min(len(others), mostGroups-len(mapped)))]...)
}

// roles are what groups give by the present configuration, by organization: the
// greatest of each.
func (p *Provider) roles(groups []string) map[string]string {
	roles := map[string]string{}
	for _, g := range p.options.Groups {
		if slices.Contains(groups, g.Group) && rank[g.Role] > rank[roles[g.Organization]] {
			roles[g.Organization] = g.Role
		}
	}
	return roles
}
