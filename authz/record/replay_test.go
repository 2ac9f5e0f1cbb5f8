package record_test

import (
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/record"
)

// A part of a request that was not kept is not taken for absent.
func TestAReplaySaysWhatItLacks(t *testing.T) {
	for name, c := range map[string]struct {
		kept  record.Refused
		query bool
		ask   func(*record.Replay)
		want  string
	}{
		"method, path, host":     {record.Refused{Method: "GET", Path: "/a", Host: "h", Protocol: "HTTP/2"}, true, func(p *record.Replay) { p.Method(); p.Path(); p.Host(); p.Protocol() }, ""},
		"a path with a query":    {record.Refused{Path: "/a", Query: []string{"b"}}, true, func(p *record.Replay) { p.Path() }, "the query"},
		"a query of no names":    {record.Refused{Path: "/a", MoreQuery: true}, true, func(p *record.Replay) { p.Path() }, "the query"},
		"a query unread":         {record.Refused{Path: "/a", Query: []string{"b"}}, false, func(p *record.Replay) { p.Path() }, ""},
		"an erased path":         {record.Refused{Path: "/a/[redacted]"}, false, func(p *record.Replay) { p.Path() }, "the whole path"},
		"a cut path":             {record.Refused{Path: "/a…"}, false, func(p *record.Replay) { p.Path() }, "the whole path"},
		"a header that is kept":  {record.Refused{Headers: map[string]string{"accept": "a"}}, false, func(p *record.Replay) { p.Header("accept"); p.Header("user-agent") }, ""},
		"a header that was cut":  {record.Refused{Headers: map[string]string{"accept": "a…"}}, false, func(p *record.Replay) { p.Header("accept") }, "the whole header accept"},
		"another header":         {record.Refused{}, false, func(p *record.Replay) { p.Header("x-team") }, "the header x-team"},
		"all headers":            {record.Refused{}, false, func(p *record.Replay) { p.EachHeader(nil) }, "all headers"},
		"what is never kept":     {record.Refused{}, false, func(p *record.Replay) { p.Body(); p.Extension("a"); p.Source(); p.Scheme(); p.ID() }, "the body, context_extensions, the connection's end, the scheme, Envoy's id of the request"},
		"it is told once":        {record.Refused{}, false, func(p *record.Replay) { p.Source(); p.Destination() }, "the connection's end"},
		"what is noted is noted": {record.Refused{}, false, func(p *record.Replay) { p.Body(); p.Forget() }, ""},
	} {
		p := (&record.Refusal{Request: c.kept}).Replay(c.query)
		c.ask(p)
		if got := strings.Join(p.Missing(), ", "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	p := (&record.Refusal{}).Replay(false)
	if _, err := p.Attributes(); err == nil || len(p.Missing()) != 1 {
		t.Errorf("all attributes: %v %v", err, p.Missing())
	}
}
