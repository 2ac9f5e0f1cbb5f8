package sources_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/sources"
)

// vouched is a request of which the proxy says something.
type vouched struct {
	authz.Request
	noted map[string]any
	err   error
}

func (v vouched) Metadata(filter string) (map[string]any, error) {
	if filter != "envoy.filters.http.jwt_authn" {
		return nil, errors.New("another filter is asked for")
	}
	return v.noted, v.err
}

func taking(t *testing.T) *lab {
	t.Helper()
	return newLab(t, func(o *sources.Options) {
		o.Issuers = []sources.Issuer{{Issuer: "https://a.example", Payload: "a"}, {Issuer: "https://b.example", Payload: "b"}}
	})
}

func claims(issuer any) map[string]any { return map[string]any{"iss": issuer, "sub": "bob"} }

func TestWhichClaimsAreTaken(t *testing.T) {
	for name, c := range map[string]struct {
		noted          map[string]any
		present, token bool
		reason         string
	}{
		"nothing noted":                            {nil, false, false, ""},
		"claims of an issuer":                      {map[string]any{"a": claims("https://a.example")}, true, true, ""},
		"claims of another one":                    {map[string]any{"b": claims("https://b.example")}, true, true, ""},
		"an issuer under another's key":            {map[string]any{"a": claims("https://b.example")}, true, false, ""},
		"an issuer that nobody listed":             {map[string]any{"a": claims("https://c.example")}, true, false, ""},
		"an issuer with another spelling":          {map[string]any{"a": claims("https://a.example/")}, true, false, ""},
		"an issuer that is no text":                {map[string]any{"a": claims(7)}, true, false, ""},
		"claims that are none":                     {map[string]any{"a": "bob"}, true, false, ""},
		"a key that nobody listed":                 {map[string]any{"c": claims("https://a.example")}, false, false, ""},
		"what else the filter notes":               {map[string]any{"a": claims("https://a.example"), "status": map[string]any{"code": 3}}, true, true, ""},
		"two tokens":                               {map[string]any{"a": claims("https://a.example"), "b": claims("https://b.example")}, true, false, "credential_malformed"},
		"two tokens, one of which is not believed": {map[string]any{"a": claims("https://a.example"), "b": "x"}, true, false, "credential_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			present, token, err := taking(t).Vouched(t.Context(), vouched{noted: c.noted})
			var refusal *authz.Refusal
			if errors.As(err, &refusal) != (c.reason != "") || refusal != nil && refusal.Reason != c.reason || present != c.present || (token != nil) != c.token {
				t.Errorf("present %t, %+v, %v", present, token, err)
			}
		})
	}
	if present, _, err := taking(t).Vouched(t.Context(), vouched{err: errors.New("broken")}); !present || !closedBy(err) {
		t.Errorf("metadata that can't be read: %t %v", present, err)
	}
	if present, _, err := taking(t).Vouched(t.Context(), struct{ authz.Request }{}); present || err != nil {
		t.Errorf("a request of which nobody says anything: %t %v", present, err)
	}
}

// TestWhatAMappingMaySay: what makes no sense is an error, and no token.
func TestWhatAMappingMaySay(t *testing.T) {
	with := func(change string) string { return strings.Replace(bob, "}]", ", "+change+"}]", 1) } // the last of equal keys counts
	grant := `"grants": [{"type": "organization", "name": "acme", "permissions": ["repo.write", "org.read", "repo.write"]}]`
	for name, c := range map[string]struct {
		says  string
		fails bool
		want  string // owner, kind, name, permissions
	}{
		"a token":                  {bob, false, "bob fine-grained ci"},
		"none":                     {"[]", false, ""},
		"two":                      {strings.Replace(bob, "]", "]", 1)[:len(bob)-1] + "," + bob[1:], true, ""},
		"no list":                  {`{"owner": "bob"}`, true, ""},
		"an unscoped one":          {with(`"kind": "read"`), false, "bob read ci"},
		"grants":                   {with(grant), false, "bob fine-grained ci org.read repo.write"},
		"no name":                  {with(`"display_name": ""`), false, "bob fine-grained bob"},
		"a name in two lines":      {with(`"display_name": "a\nb"`), false, "bob fine-grained a_b"},
		"a long name":              {with(`"display_name": "` + strings.Repeat("é", 150) + `"`), false, "bob fine-grained " + strings.Repeat("é", 100)},
		"no identity":              {with(`"id": []`), true, ""},
		"an identity of nothing":   {with(`"id": ["", ""]`), true, ""},
		"an identity of numbers":   {with(`"id": [1]`), true, ""},
		"an endless identity":      {with(`"id": ["` + strings.Repeat("x", 2000) + `"]`), true, ""},
		"a name in another case":   {with(`"owner": "BOB"`), false, ""},
		"a look-alike is nobody's": {with(`"owner": "m\u0130ke"`), false, "m\u0130ke fine-grained ci"},
		"nobody":                   {with(`"owner": ""`), true, ""},
		"no kind":                  {with(`"kind": ""`), true, ""},
		"a kind of its own":        {with(`"kind": "admin"`), true, ""},
		"an unscoped one's grants": {with(`"kind": "write", ` + grant), true, ""},
		"an end that is none":      {with(`"expires_at": "soon"`), true, ""},
		"an end before all time":   {with(`"expires_at": -5`), true, ""},
		"an end beyond all time":   {with(`"expires_at": 1e15`), true, ""},
		"grants of nothing":        {with(`"grants": [{"type": "organization", "name": "acme", "permissions": []}]`), false, "bob fine-grained ci"},
		"grants that are none":     {with(`"grants": [{"type": "ORG", "name": "acme", "permissions": ["x"]}, {"type": "model", "name": "a/b/\n", "permissions": ["x"]}, {"type": "model", "name": "a/b", "permissions": ["a b"]}]`), false, "bob fine-grained ci"},
	} {
		t.Run(name, func(t *testing.T) {
			l := taking(t)
			l.mapping.says = c.says
			_, token, err := l.Vouched(t.Context(), vouched{noted: map[string]any{"a": claims("https://a.example")}})
			got := ""
			if token != nil {
				got = strings.Join([]string{token.Owner, token.Kind, token.DisplayName}, " ")
				for _, g := range token.Grants {
					got += " " + strings.Join(g.Permissions, " ")
				}
			}
			if (err != nil) != c.fails || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
	l := taking(t)
	l.mapping.err = errors.New("broken")
	if _, token, err := l.Vouched(t.Context(), vouched{noted: map[string]any{"a": claims("https://a.example")}}); token != nil || err == nil {
		t.Errorf("a mapping that fails: %+v %v", token, err)
	}
}
