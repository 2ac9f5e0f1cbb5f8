package record_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/record"
)

// request is a request with a few parts.
type request struct {
	path    string
	headers map[string]string
}

func (request) Method() string   { return "POST" }
func (r request) Path() string   { return r.path }
func (request) Host() string     { return "hub.example" }
func (request) Scheme() string   { return "https" }
func (request) Protocol() string { return "HTTP/1.1" }
func (request) ID() string       { return "" }
func (r request) Header(name string) (string, int) {
	v, ok := r.headers[name]
	if !ok {
		return "", 0
	}
	return v, 1
}

func (r request) EachHeader(yield func(name, value string) bool) {
	for n, v := range r.headers {
		if !yield(n, v) {
			return
		}
	}
}

func (request) Body() authz.Body                    { return authz.Body{Bytes: []byte("the body"), Present: true} }
func (request) Extension(string) (string, bool)     { return "", false }
func (request) Source() authz.Peer                  { return authz.Peer{Address: "192.0.2.7"} }
func (request) Destination() authz.Peer             { return authz.Peer{} }
func (request) Attributes() (map[string]any, error) { return map[string]any{}, nil }

// message is a request that stays as it is.
type message struct{ request }

func (message) Size() int { return 100 }

const secret = "ThisIsTheSecret/That+NobodyMaySee="

var start = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// clock can be moved.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time { return start.Add(time.Duration(c.ns.Add(1))) }

func open(t *testing.T, o record.Options, c *clock) *record.Recorder {
	t.Helper()
	o.Clock = c.now
	o.Facts = func(out []byte, f *authz.Facts, text func(string) string) ([]byte, error) {
		return fmt.Appendf(out, `{"organization":{"name":%q},"route":[%q]}`, text(f.Organization.Name), text(f.Route.Pattern)), nil
	}
	o.Sentence = func(*authz.Outcome) string { return "The token ci waits for an approval" }
	r, err := record.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, r) })
	return r
}

// shut closes a recorder; once more does nothing.
func shut(t *testing.T, r *record.Recorder) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func refusal(id string, at time.Time) *authz.Outcome {
	return &authz.Outcome{
		RequestID: id, DecisionID: "d-" + id, Time: at,
		Request: message{request{path: "/api/models/acme/m?token=" + secret, headers: map[string]string{
			"authorization": "Bearer " + secret, "user-agent": "git/2.47", "x-other": secret,
		}}},
		Facts: &authz.Facts{
			Token:        &authz.Token{ID: "t1", DisplayName: "ci", Owner: &authz.Owner{Name: "bob"}},
			Organization: &authz.Organization{ID: "o1", Name: "acme"}, Client: authz.Client{Address: "192.0.2.7", Network: "192.0.2.0/24"},
			Route: &authz.Route{Pattern: "/api/models/" + secret},
		},
		Decision: authz.Decision{Reason: "approval_pending", Reasons: []string{"approval_pending"}, Params: map[string]any{"detail": "not " + secret}},
		Reason:   &authz.Reason{HTTPStatus: 403}, Policy: "require_administrator_approval", Revision: "7",
		Approval: &authz.ApprovalRequest{ID: "r1", State: "open"}, Err: fmt.Errorf("because of %s", secret),
	}
}

func find(t *testing.T, r *record.Recorder, id string) *record.Refusal {
	t.Helper()
	got, err := r.Find(context.Background(), id, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARefusalIsFoundWithItsFacts(t *testing.T) {
	c := &clock{}
	r := open(t, record.Options{Dir: t.TempDir()}, c)
	r.Record(refusal("q1", c.now()))
	allowed := refusal("q2", c.now())
	allowed.Decision.Allowed = true
	r.Record(allowed)
	for _, id := range []string{"q1", "d-q1"} {
		got := find(t, r, id)
		if got == nil {
			t.Fatalf("%s is not found", id)
		}
		if got.Reason != "approval_pending" || got.Organization != "acme" || got.Token != "t1" || got.Owner != "bob" || got.HTTPStatus != 403 ||
			got.Message == "" || got.Approval.ID != "r1" || got.Request.Path != "/api/models/acme/m" || got.Request.Query[0] != "token" ||
			got.Request.Headers["user-agent"] != "git/2.47" || got.Request.Network != "192.0.2.0/24" || !strings.Contains(string(got.Facts), `"acme"`) {
			text, _ := json.MarshalIndent(got, "", "  ")
			t.Errorf("%s is\n%s", id, text)
		}
	}
	if find(t, r, "q2") != nil || find(t, r, "q3") != nil {
		t.Error("an allow, or what never was, is found")
	}
}

// TestAReusedIDHidesNoRefusal from those who may see it: of several with one id, also
// where it is a decision's, each sees the latest that is theirs.
func TestAReusedIDHidesNoRefusal(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	start := func() *record.Recorder {
		r, err := record.Open(record.Options{Dir: dir, Clock: c.now, PerSource: 10000, PerSecond: 10000, MaxBytes: 128 << 10})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shut(t, r) })
		return r
	}
	r := start()
	of := func(id, decision, reason string, organization *authz.Organization) {
		o := refusal(id, c.now())
		o.DecisionID, o.Decision.Reason, o.Facts.Organization = decision, reason, organization
		r.Record(o)
	}
	acme, globex := &authz.Organization{ID: "o1", Name: "acme"}, &authz.Organization{ID: "o2", Name: "globex"}
	of("victim", "d-1", "no_grant", acme)
	of("victim", "d-2", "approval_pending", acme)
	of("victim", "d-3", "credential_missing", globex)
	of("d-2", "d-4", "token_unknown", globex)
	of("victim", "victim", "token_unknown", nil)
	all := func() {
		t.Helper()
		for _, c := range []struct{ what, id, see, want string }{
			{"the latest of the organization", "victim", "o1", "approval_pending"},
			{"of another", "victim", "o2", "credential_missing"},
			{"of none", "victim", "", "token_unknown"},
			{"of one that has none", "victim", "o3", ""},
			{"by the decision's id", "d-1", "o1", "no_grant"},
			{"by a decision's id that was sent as another request's", "d-2", "o1", "approval_pending"},
			{"which its sender's organization finds too", "d-2", "o2", "token_unknown"},
		} {
			got, err := r.Find(context.Background(), c.id, func(o string) bool { return o == c.see })
			if err != nil {
				t.Fatal(err)
			}
			if reason := reasonOf(got); reason != c.want {
				t.Errorf("%s: %q, want %q", c.what, reason, c.want)
			}
		}
		if got := reasonOf(find(t, r, "victim")); got != "token_unknown" {
			t.Errorf("who may see all sees %q", got)
		}
	}
	all()
	shut(t, r)
	r = start() // they are found after a restart
	all()
	// An id that is sent for ever takes no more room than others.
	for range 2000 {
		of("victim", "", "credential_missing", globex)
		find(t, r, "victim") // the queue has an end
	}
	if got, err := r.Find(context.Background(), "victim", func(o string) bool { return o == "o1" }); got != nil || err != nil {
		t.Errorf("given up, and found: %v %v", got, err)
	}
	if got := reasonOf(find(t, r, "victim")); got != "credential_missing" {
		t.Errorf("the last one is %q", got)
	}
}

func reasonOf(r *record.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Reason
}

func TestNoSecretIsInARecord(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	r := open(t, record.Options{Dir: dir, CredentialHeaders: []string{"X-Api-Key"}}, c)
	basic := base64.StdEncoding.EncodeToString([]byte("user-name-that-is-a-token:" + secret))
	escaped := ""
	for _, b := range []byte(secret) {
		escaped += fmt.Sprintf("%%%02x", b)
	}
	for i, headers := range []map[string]string{
		{"authorization": "Bearer " + secret},
		{"authorization": "bearer " + secret + "," + secret},
		{"authorization": "Digest x=\"" + secret + "\""},
		{"authorization": "Basic " + basic},
		{"x-api-key": secret},
		{"cookie": "session=1; " + secret},
		{"authorization": secret},
	} {
		for j, path := range []string{"/" + secret, "/x/" + escaped, "/" + strings.ReplaceAll(secret, "/", "%2F"), "/user-name-that-is-a-token", "/a?" + secret + "=1", "/tok_gho_KnownKnownKnown01"} {
			o := refusal(fmt.Sprintf("q%d-%d", i, j), c.now().Add(time.Duration(10*i+j)*time.Second))
			headers = maps.Clone(headers) // what is there may still wait for its record
			headers["user-agent"] = "agent " + secret
			o.Request = request{path: path, headers: headers}
			if j%2 == 0 {
				o.Request = message{request{path: path, headers: headers}}
			}
			if i != 3 && j == 3 {
				continue
			}
			r.Record(o)
			if find(t, r, o.RequestID) == nil {
				t.Errorf("%s is not recorded", o.RequestID)
			}
		}
	}
	shut(t, r)
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{secret, escaped, "NobodyMaySee", "user-name-that-is-a-token", basic, "the body", "KnownKnownKnown01"} {
			for line := range strings.SplitSeq(string(text), "\n") {
				if strings.Contains(line, s) {
					t.Errorf("%q is in %s", s, line)
				}
			}
		}
		if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
	if len(names) != 1 {
		t.Errorf("%d files were searched", len(names))
	}
}

// What takes time is done behind the request: here it waits for a word that
// comes only when the request is over.
func TestARecordIsMadeInTheBackground(t *testing.T) {
	over := make(chan struct{})
	r, err := record.Open(record.Options{Dir: t.TempDir(), Clock: (&clock{}).now, Facts: func(out []byte, _ *authz.Facts, _ func(string) string) ([]byte, error) {
		<-over
		return append(out, "{}"...), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, r)
	r.Record(refusal("q1", start))
	close(over)
	if got := find(t, r, "q1"); got == nil || string(got.Facts) != "{}" {
		t.Errorf("found %+v", got)
	}
}

func TestFactsThatCannotBeShownCostNoMoreThanTheirRecord(t *testing.T) {
	r, err := record.Open(record.Options{Dir: t.TempDir(), Clock: (&clock{}).now, Facts: func(out []byte, f *authz.Facts, _ func(string) string) ([]byte, error) {
		switch f.Route.Pattern {
		case "panics":
			panic("odd facts")
		case "fails":
			return nil, errors.New("odd facts")
		case "long":
			return append(out, `"`+strings.Repeat("x", 40_000)+`"`...), nil
		}
		return append(out, `"shown"`...), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, r)
	for _, pattern := range []string{"panics", "fails", "long", "plain"} {
		for _, q := range []authz.Request{request{path: "/"}, message{request{path: "/"}}} {
			o := refusal(fmt.Sprintf("%s-%T", pattern, q), start)
			o.Facts.Route, o.Request = &authz.Route{Pattern: pattern}, q
			r.Record(o)
			got := find(t, r, o.RequestID)
			if (got == nil) != (pattern == "panics") || got != nil && (len(got.Facts) > 0) != (pattern == "plain") {
				t.Errorf("%s: %+v", o.RequestID, got)
			}
		}
	}
}

func TestRecordsSurviveARestartAndATornLine(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	r := open(t, record.Options{Dir: dir}, c)
	r.Record(refusal("q1", c.now()))
	shut(t, r)
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	f, err := os.OpenFile(names[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"request_id":"torn","ti`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	again := open(t, record.Options{Dir: dir}, c)
	again.Record(refusal("q2", c.now()))
	if find(t, again, "q1") == nil || find(t, again, "q2") == nil || find(t, again, "torn") != nil {
		t.Error("what was recorded before or after the restart is not found")
	}
}

func TestWhatAnotherProcessRecordsIsFound(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	one, other := open(t, record.Options{Dir: dir}, c), open(t, record.Options{Dir: dir}, c)
	for i := range 3 {
		a, b := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
		one.Record(refusal(a, c.now()))
		find(t, one, a)
		other.Record(refusal(b, c.now()))
		find(t, other, b)
		for _, r := range []*record.Recorder{one, other} {
			for _, id := range []string{a, b} {
				if got := find(t, r, id); got == nil || got.RequestID != id {
					t.Errorf("%s: found %v", id, got)
				}
			}
		}
	}
}

func TestRecordsEndAfterADay(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	r := open(t, record.Options{Dir: dir}, c)
	r.Record(refusal("q1", c.now()))
	if find(t, r, "q1") == nil {
		t.Fatal("it is not found at once")
	}
	c.ns.Store(int64(24*time.Hour + time.Second))
	if find(t, r, "q1") != nil {
		t.Error("it is found after a day")
	}
	shut(t, r)
	open(t, record.Options{Dir: dir}, c)
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
		t.Errorf("the next start left %v", names)
	}
}

func TestAFloodOfRefusalsFillsNoDisk(t *testing.T) {
	const maxBytes = 200_000
	c, dir := &clock{}, t.TempDir()
	r := open(t, record.Options{Dir: dir, MaxBytes: maxBytes, PerSource: 5, PerSecond: 100}, c)
	last := ""
	for second := range 100 {
		for i := range 50 {
			last = fmt.Sprintf("q%d-%d", second, i)
			r.Record(refusal(last, start.Add(time.Duration(second)*time.Second)))
		}
		other := refusal(fmt.Sprintf("other-%d", second), start.Add(time.Duration(second)*time.Second))
		other.Facts.Token = &authz.Token{ID: "t2"}
		r.Record(other)
		if find(t, r, other.RequestID) == nil {
			t.Errorf("second %d: a flood by one token keeps the refusal of another out", second)
		}
	}
	if find(t, r, last) != nil {
		t.Error("one token has more records a second than its share")
	}
	total := int64(0)
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > maxBytes || total < maxBytes/2 {
		t.Errorf("%d files have %d bytes at a bound of %d", len(names), total, maxBytes)
	}
	if find(t, r, "q0-0") != nil || find(t, r, "q99-0") == nil {
		t.Error("not the oldest records went")
	}
}

func BenchmarkRecord(b *testing.B) {
	r, err := record.Open(record.Options{Dir: b.TempDir(), PerSource: 1 << 15, PerSecond: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	o := refusal("q", start)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(o)
	}
}

// TestTheLastRefusalsOfATokenAreFound: its own, the latest first, of the
// organizations that may be seen; and of none where they were about none, which is
// not said of an organization that there is not.
func TestTheLastRefusalsOfATokenAreFound(t *testing.T) {
	c, dir := &clock{}, t.TempDir()
	facts := func(out []byte, f *authz.Facts, _ func(string) string) ([]byte, error) {
		if f.Route == nil {
			return append(out, `{"token":{}}`...), nil
		}
		return fmt.Appendf(out, `{"route":{"permission":%q,"organizations":[%q],"resource":{"type":"model","name":"acme/m"}}}`, f.Route.Permission, f.Route.Organizations[0]), nil
	}
	start := func() *record.Recorder {
		r, err := record.Open(record.Options{Dir: dir, Clock: c.now, Facts: facts, PerSource: 10000, PerSecond: 10000, MaxBytes: 128 << 10, Sentence: func(*authz.Outcome) string { return "No (https://p/tokens/t1)" }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shut(t, r) })
		return r
	}
	r := start()
	of := func(id, token string, organization *authz.Organization, asked string) {
		o := refusal(id, c.now())
		o.Facts.Token, o.Facts.Organization, o.Facts.Route = &authz.Token{ID: token, DisplayName: "ci", Owner: &authz.Owner{Name: "bob"}}, organization, nil
		if asked != "" {
			o.Facts.Route = &authz.Route{Permission: "repo.write", Organizations: []string{asked}}
		}
		r.Record(o)
	}
	one, two := &authz.Organization{ID: "o1", Name: "acme"}, &authz.Organization{ID: "o2", Name: "globex"}
	of("q1", "t1", one, "acme")
	of("q2", "t2", one, "acme")
	of("q3", "t1", two, "globex")
	of("q4", "t1", nil, "nowhere")
	of("q5", "t1", nil, "")
	of("q6", "t1", one, "acme")
	last := func(token string, most int, organizations ...string) string {
		t.Helper()
		rows, err := r.Last(context.Background(), token, most, func(o string) bool { return slices.Contains(organizations, o) })
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]string, len(rows))
		for i := range rows {
			ids[i] = rows[i].RequestID
		}
		return strings.Join(ids, " ")
	}
	all := func() {
		t.Helper()
		for _, c := range []struct {
			what, token   string
			most          int
			organizations []string
			want          string
		}{
			{"of an organization", "t1", 9, []string{"o1"}, "q6 q1"},
			{"of two, and of none", "t1", 9, []string{"o1", "o2", ""}, "q6 q5 q3 q1"},
			{"of none alone", "t1", 9, []string{""}, "q5"},
			{"of one that there is not", "t1", 9, []string{record.UnknownOrganization}, "q4"},
			{"not more than asked for", "t1", 1, []string{"o1", "o2"}, "q6"},
			{"of another token", "t2", 9, []string{"o1", "o2", ""}, "q2"},
			{"where nothing may be seen", "t1", 9, nil, ""},
			{"of no token", "", 9, []string{"o1", ""}, ""},
		} {
			if got := last(c.token, c.most, c.organizations...); got != c.want {
				t.Errorf("%s: %q, want %q", c.what, got, c.want)
			}
		}
	}
	all()
	shut(t, r)
	r = start() // they are found after a restart
	all()
	// What was given up for room is found no more, and what is there still is.
	for i := range 2000 {
		of(fmt.Sprintf("flood-%d", i), "t3", two, "globex")
		if i%500 == 0 {
			last("t3", 1, "o2") // is there before the others come: the queue has an end
		}
	}
	if got := last("t1", 9, "o1", "o2", ""); got != "" {
		t.Errorf("given up, and found: %q", got)
	}
	if got := last("t3", 1, "o2"); got != "flood-1999" {
		t.Errorf("of the flood: %q", got)
	}
	c.ns.Add(int64(25 * time.Hour))
	if got := last("t3", 9, "o2"); got != "" {
		t.Errorf("after a day: %q", got)
	}
}

// TestWhatAnOwnerIsToldOfARefusal is what their client asked for and was told:
// none of the facts, and a code as it was told outside.
func TestWhatAnOwnerIsToldOfARefusal(t *testing.T) {
	c := &clock{}
	r := open(t, record.Options{Dir: t.TempDir()}, c)
	r.Record(refusal("q1", c.now()))
	got := find(t, r, "q1")
	got.Reason = "owner_not_member"
	got.Facts = json.RawMessage(`{"route":{"permission":"repo.write","organizations":["acme"],"resource":{"type":"model","name":"acme/m"}},"token":{"grants":["everywhere"]}}`)
	told := got.Told(authz.Catalogue{"owner_not_member": {Code: "owner_not_member", Outside: "organization_forbidden"}})
	want := record.Told{
		RequestID: "q1", Time: got.Time, Method: "POST", Path: "/api/models/acme/m", Query: []string{"token"}, Permission: "repo.write", Resource: "model acme/m",
		Organization: "acme", Code: "organization_forbidden", HTTPStatus: 403, Message: "The token ci waits for an approval", Network: "192.0.2.0/24", Client: "git/2.47",
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("the owner is told %+v, want %+v", told, want)
	}
	if told = got.Told(nil); told.Code != "" {
		t.Errorf("of a reason that nobody knows any more: %q", told.Code)
	}
}
