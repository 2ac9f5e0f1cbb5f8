package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Session is somebody who is logged in. It is kept under the SHA-256 of its
// secret, which only the browser has.
type Session struct {
	Hash    string
	Caller  Caller
	Created time.Time
	Expires time.Time
}

// Sessions keeps sessions durably.
type Sessions interface {
	// Put adds a session, and forgets those that have ended.
	Put(ctx context.Context, s Session, now time.Time) error
	// Session returns the session under a hash, or nil.
	Session(ctx context.Context, hash string) (*Session, error)
	// End ends one.
	End(ctx context.Context, hash string) error
}

// Caller is who asks for a page.
type Caller struct {
	// Name is the user's name in the inventory, or "uid:0" of who logged in on
	// the machine.
	Name string `json:"name"`
	// Operator may do everything.
	Operator bool `json:"operator,omitempty"`
	// Issuer is the provider that said so, and Groups are what it said at the
	// login; "" of who logged in on the machine.
	Issuer string   `json:"issuer,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// Roles by organization, found out at each request: by the groups and the
	// present configuration, and by the present memberships.
	Roles map[string]string `json:"-"`
}

// actor is who acts in an organization, for the rules and the audit log.
func (c *Caller) actor(organization string) inventory.Actor {
	return inventory.Actor{Kind: "console", Name: c.Name, Role: c.Roles[organization]}
}

// overSocket says whether the caller logged in by patrol login: an operator of
// the machine, and no user of the inventory.
func (c *Caller) overSocket() bool { return strings.HasPrefix(c.Name, "uid:") }

const cookieName = "patrol_session"

func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// login starts a session. A session that the browser had before ends: no id is
// carried over.
func (c *Console) login(w http.ResponseWriter, r *http.Request, caller Caller) error {
	if old, err := r.Cookie(cookieName); err == nil {
		if err := c.Sessions.End(r.Context(), hashOf(old.Value)); err != nil {
			return err
		}
	}
	secret, now := newSecret(), c.Clock()
	s := Session{Hash: hashOf(secret), Caller: caller, Created: now, Expires: now.Add(c.SessionFor)}
	if err := c.Sessions.Put(r.Context(), s, now); err != nil {
		return err
	}
	http.SetCookie(w, c.cookie(r, cookieName, secret, c.SessionFor))
	c.Log.Info("logged in", "caller", caller.Name, "operator", caller.Operator)
	return nil
}

// cookie is Lax: the link of a mail has to find it.
func (c *Console) cookie(r *http.Request, name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(age.Seconds()),
		Secure: r.TLS != nil || strings.HasPrefix(c.PublicURL, "https:"),
	}
}

// caller finds out who asks, or nil.
func (c *Console) caller(r *http.Request) (*Caller, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, nil //nolint:nilerr // nobody is logged in
	}
	s, err := c.Sessions.Session(r.Context(), hashOf(cookie.Value))
	if err != nil || s == nil || !c.Clock().Before(s.Expires) {
		return nil, err
	}
	caller := s.Caller
	if caller.overSocket() {
		return &caller, nil
	}
	// By what is configured now, not by what was when they logged in: who was
	// brought by a provider that is none any more is logged out.
	if !c.Provider.brought(&caller) {
		return nil, nil
	}
	if caller.Operator = c.Provider.operator(caller.Name); caller.Operator {
		return &caller, nil
	}
	roles := c.Provider.roles(caller.Groups)
	// Looked up each time: who loses a role has lost it with the next page.
	present, err := c.Queries.Roles(r.Context(), caller.Name)
	if err != nil {
		return nil, err
	}
	for o, role := range present {
		if rank[role] > rank[roles[o]] {
			roles[o] = role
		}
	}
	caller.Roles = roles
	return &caller, nil
}

var rank = map[string]int{roleReviewer: 1, roleAdmin: 2}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		if err := c.Sessions.End(r.Context(), hashOf(cookie.Value)); err != nil {
			c.fail(w, r, nil, c.explain(err))
			return
		}
	}
	http.SetCookie(w, c.cookie(r, cookieName, "", -time.Second))
	http.Redirect(w, r, "/login?done=out", http.StatusSeeOther)
}

// known says whether the console is served under a host: the public URL's, or a
// loopback address.
func (c *Console) known(host string) bool {
	if c.hosts[host] {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
