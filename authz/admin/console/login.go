package console

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// linkFor is how long a link of patrol login is good.
const linkFor = 5 * time.Minute

// loginLinks are the codes that patrol login gave out: each is good once.
type loginLinks struct {
	mu    sync.Mutex
	codes map[string]loginLink
	clock func() time.Time
}

type loginLink struct {
	caller  Caller
	expires time.Time
}

func newLoginLinks(clock func() time.Time) *loginLinks {
	return &loginLinks{codes: map[string]loginLink{}, clock: clock}
}

// LoginCode makes a code with which the caller logs in once, within 5 minutes, on
// the page /login/link?code=…: who asks was authenticated by the socket.
func (c *Console) LoginCode(caller Caller) (code string, until time.Time) {
	code, l := newSecret(), c.links
	l.mu.Lock()
	defer l.mu.Unlock()
	for h, link := range l.codes {
		if !l.clock().Before(link.expires) {
			delete(l.codes, h)
		}
	}
	until = l.clock().Add(linkFor)
	l.codes[hashOf(code)] = loginLink{caller, until}
	return code, until
}

// take consumes a code.
func (l *loginLinks) take(code string) (Caller, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	link, ok := l.codes[hashOf(code)]
	delete(l.codes, hashOf(code))
	return link.caller, ok && l.clock().Before(link.expires)
}

// has says whether a code would be taken.
func (l *loginLinks) has(code string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	link, ok := l.codes[hashOf(code)]
	return ok && l.clock().Before(link.expires)
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, nil, http.StatusOK, "login", "Log in", map[string]any{
		"Provider": c.Provider != nil, "Next": localPath(r.URL.Query().Get("next")), "Out": r.URL.Query().Get("done") == "out",
	})
}

// linkPage asks before a code is consumed: what only looks at links, as mail
// scanners do, must not use them up.
func (c *Console) linkPage(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if !c.links.has(code) {
		c.fail(w, r, nil, staleLink)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	c.show(w, r, nil, http.StatusOK, "link", "Log in", map[string]any{"Code": code})
}

// staleLink is the one answer to a code that does not log in, whatever is wrong
// with it: what codes there are is not told.
var staleLink = &failure{http.StatusGone, "The link is good no more", "A link to log in is good once, for five minutes, and only at the patrol that made it. This one was used, is older, or is of another patrol or of none. Nobody is logged in by it: run patrol login for another."}

func (c *Console) linkLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	caller, ok := c.links.take(r.PostFormValue("code"))
	if !ok {
		c.fail(w, r, nil, staleLink)
		return
	}
	if err := c.login(w, r, caller); err != nil {
		c.fail(w, r, nil, c.explain(err))
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// localPath is a path of this console, or "/": a login never leads elsewhere.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
