package record

import (
	"regexp"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// kept are the headers that a record shows: those that say what kind of client
// asked. All others may hold what is nobody's business.
var kept = []string{"user-agent", "accept", "content-type", "content-length", "git-protocol", "x-forwarded-proto"}

// redactor takes the secrets of one request out of texts.
type redactor struct{ redact.Request }

// text returns a copy of a text without what looks like a secret.
func (r redactor) text(s string) string { return strings.Clone(r.Text(s)) }

// beginning returns a copy of a text's beginning without what looks like a secret.
func (r redactor) beginning(s string, most int) string { return strings.Clone(r.Beginning(s, most)) }

// plainName is a query parameter's name that is shown: no secret looks like it.
var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,31}$`)

// request shows what is kept of a request.
func (r redactor) request(q authz.Request, c authz.Client) Refused {
	path, query, _ := strings.Cut(q.Path(), "?")
	out := Refused{
		Method: r.beginning(q.Method(), 32), Path: r.beginning(path, 1024), Host: r.beginning(q.Host(), 255), Protocol: r.beginning(q.Protocol(), 16),
		Address: strings.Clone(c.Address), Network: strings.Clone(c.Network),
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); plainName.MatchString(name) && len(out.Query) < 20 {
			out.Query = append(out.Query, r.text(name))
		} else if pair != "" {
			out.MoreQuery = true
			if len(out.Query) == 20 {
				break
			}
		}
	}
	for _, name := range kept {
		if value, n := q.Header(name); n > 0 {
			if out.Headers == nil {
				out.Headers = map[string]string{}
			}
			if out.Headers[name] = r.beginning(value, 200); n > 1 {
				out.Headers[name] += "…" // the first of them alone
			}
		}
	}
	return out
}
