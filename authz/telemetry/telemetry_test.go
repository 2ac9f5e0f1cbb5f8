package telemetry_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/telemetry"
)

func denied(organization, kind string) *authz.Outcome {
	return &authz.Outcome{
		DecisionID: "d", RequestID: "r", Decision: authz.Decision{Reason: "approval_pending", Reasons: []string{"approval_pending"}},
		Reason: &authz.Reason{Code: "approval_pending", HTTPStatus: 403},
		Facts: &authz.Facts{
			Organization: &authz.Organization{Name: organization, Type: kind, Enforcement: "enforce"},
			Token:        &authz.Token{ID: "token-id", DisplayName: "the name", Owner: &authz.Owner{Name: "bob"}},
		},
	}
}

// labels gathers every label value of a registry.
func labels(t *testing.T, m *telemetry.Metrics) map[string]map[string]bool {
	t.Helper()
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				if out[l.GetName()] == nil {
					out[l.GetName()] = map[string]bool{}
				}
				out[l.GetName()][l.GetValue()] = true
			}
		}
	}
	return out
}

func TestNoLabelHoldsATokenOrAUser(t *testing.T) {
	m := telemetry.New(telemetry.Options{})
	m.Record(denied("acme", authz.TypeOrganization))
	m.Record(denied("bob", authz.TypeUser)) // a user namespace has its user's name
	for label, values := range labels(t, m) {
		for v := range values {
			if v == "bob" || strings.Contains(v, "token-id") || strings.Contains(v, "the name") {
				t.Errorf("the label %s holds %q", label, v)
			}
		}
	}
	if !labels(t, m)["organization"]["acme"] {
		t.Error("the organization is not counted at all")
	}
}

func TestTheLabelOrganizationIsBounded(t *testing.T) {
	m := telemetry.New(telemetry.Options{Organizations: 3})
	for i := range 50 {
		m.Record(denied(fmt.Sprintf("org-%d", i), authz.TypeOrganization))
	}
	if got := labels(t, m)["organization"]; len(got) != 4 || !got["other"] {
		t.Errorf("labels %v", got)
	}
}

func TestAFloodOfDenialsIsNoFloodOfLines(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	d := &telemetry.DenialLog{Log: slog.New(slog.NewTextHandler(&out, nil)), PerSecond: 10, Clock: func() time.Time { return now }}
	for range 1000 {
		d.Record(denied("acme", authz.TypeOrganization))
	}
	if n := strings.Count(out.String(), "\n"); n != 10 {
		t.Errorf("%d lines", n)
	}
	now = now.Add(time.Second)
	out.Reset()
	d.Record(denied("acme", authz.TypeOrganization))
	if !strings.Contains(out.String(), "suppressed=990") {
		t.Errorf("what was suppressed is not told: %s", out.String())
	}
}

// sent is a request of which the log shows something.
type sent struct {
	authz.Request
	path    string
	headers [][2]string
}

func (s sent) Method() string { return "GET" }
func (s sent) Path() string   { return s.path }

func (s sent) EachHeader(yield func(name, value string) bool) {
	for _, h := range s.headers {
		if !yield(h[0], h[1]) {
			return
		}
	}
}

// Nothing that a client sends as a secret, or that looks like one, gets into the
// line of a refusal, however it is written.
func TestTheLineOfARefusalHoldsNoSecret(t *testing.T) {
	secret, opaque := "ptl_0aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kP9lO8mN7nM6", "opaque/0123-Secret"
	for name, c := range map[string]sent{
		"as it is":                  {path: "/api/models/acme/" + secret},
		"a letter escaped":          {path: "/api/models/acme/%70" + secret[1:]},
		"escaped twice":             {path: "/api/models/acme/%2570" + secret[1:]},
		"of another format":         {path: "/api/models/acme/tok_gho_AbCd0123AbCd0123AbCd0123AbCd0123AbCd"},
		"its own":                   {path: "/api/models/acme/" + opaque, headers: [][2]string{{"authorization", "Bearer " + opaque}}},
		"its own, escaped":          {path: "/api/models/acme/opaque%2F0123%2dSecret", headers: [][2]string{{"authorization", "Bearer " + opaque}}},
		"its own password":          {path: "/api/models/acme/" + opaque, headers: [][2]string{{"authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("git:"+opaque))}}},
		"its own, in its header":    {path: "/api/models/acme/" + opaque, headers: [][2]string{{"x-api-key", opaque}}},
		"its own, in a cookie":      {path: "/api/models/acme/" + opaque, headers: [][2]string{{"cookie", "a=1; " + opaque}}},
		"where the path is cut off": {path: "/" + strings.Repeat("x", 188) + secret},
	} {
		var out bytes.Buffer
		d := &telemetry.DenialLog{Log: slog.New(telemetry.Guard(slog.NewTextHandler(&out, nil))), CredentialHeaders: []string{"X-Api-Key"}}
		o := denied("acme", authz.TypeOrganization)
		o.Request, o.RequestID = c, "id-"+c.path[len("/"):]
		o.Err = errors.New("of " + c.path)
		d.Record(o)
		line := out.String()
		for _, piece := range []string{"0aZ9bY8", "0123AbCd0123", "0123-Secret", "0123%2dSecret"} {
			if strings.Contains(line, piece) {
				t.Errorf("%s: %s is in %s", name, piece, line)
			}
		}
		if !strings.Contains(line, "[redac") {
			t.Errorf("%s: the line is %s", name, line)
		}
	}
}

func TestWhatLooksLikeACredentialIsRedacted(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(telemetry.Guard(slog.NewTextHandler(&out, nil))).With("a", "Bearer abcdefghijkl")
	log.Error("got ptl_0123456789abcdef", "b", "hf_0123456789abcdef", "c", errors.New("Basic dXNlcjpwYXNz"), "d", "plain",
		slog.Group("e", "f", "ptl_in0a0group00000"), "g", []string{"ptl_in0a0list000000"}, "h", struct{ S string }{"ptl_in0a0struct0000"})
	for _, secret := range []string{"abcdefghijkl", "in0a0", "0123456789abcdef", "dXNlcjpwYXNz"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in %s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), "plain") {
		t.Error("what is no credential is gone")
	}
}

// TestTheActiveBundlesAreReplacedAsAWhole: one series for each that is active,
// with its own revision, and none for what is not.
func TestTheActiveBundlesAreReplacedAsAWhole(t *testing.T) {
	m := telemetry.New(telemetry.Options{})
	at := func(s int64) time.Time { return time.Unix(s, 500e6) }
	for _, c := range []struct {
		name    string
		err     error
		active  []telemetry.Bundle
		info    string
		success string
	}{
		{"two overlays", nil, []telemetry.Bundle{{"base", "b1", at(1)}, {"local", "l1", at(1)}, {"ours", "o1", at(1)}}, "base b1=1 local l1=1 ours o1=1", "base=1.5 local=1.5 ours=1.5"},
		{"one is swapped", nil, []telemetry.Bundle{{"base", "b1", at(1)}, {"local", "l2", at(2)}, {"ours", "o1", at(1)}}, "base b1=1 local l2=1 ours o1=1", "base=1.5 local=2.5 ours=1.5"},
		{"one is refused", errors.New("no"), nil, "base b1=1 local l2=1 ours o1=1", "base=1.5 local=2.5 ours=1.5"},
		{"one is removed", nil, []telemetry.Bundle{{"base", "b1", at(1)}, {"ours", "o1", at(1)}}, "base b1=1 ours o1=1", "base=1.5 ours=1.5"},
	} {
		m.Activated("local", c.err, c.active)
		if got := series(t, m, "patrol_bundle_info"); got != c.info {
			t.Errorf("%s: %q, want %q", c.name, got, c.info)
		}
		if got := series(t, m, "patrol_bundle_last_success_timestamp_seconds"); got != c.success {
			t.Errorf("%s: %q, want %q", c.name, got, c.success)
		}
	}
	if got := series(t, m, "patrol_bundle_activations_total"); got != "local activated=3 local refused=1" {
		t.Errorf("attempts: %q", got)
	}
}

// series shows the series of a metric: their labels' values and their own.
func series(t *testing.T, m *telemetry.Metrics, name string) string {
	t.Helper()
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			var words []string
			for _, l := range metric.GetLabel() {
				words = append(words, l.GetValue())
			}
			all = append(all, fmt.Sprintf("%s=%v", strings.Join(words, " "), metric.GetGauge().GetValue()+metric.GetCounter().GetValue()))
		}
	}
	return strings.Join(all, " ")
}
