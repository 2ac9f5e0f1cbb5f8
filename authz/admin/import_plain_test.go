package admin

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowly reads a token by encoding/json alone.
func slowly(text []byte) (*ImportedToken, error) {
	var t ImportedToken
	if err := readStrictly(text, &t); err != nil {
		return nil, wrongMember(text, err)
	}
	return &t, nil
}

// readsAlike: what is read plainly, encoding/json reads alike, alone and among
// others.
func readsAlike(t interface {
	Helper()
	Fatalf(string, ...any)
}, text []byte,
) (plainly bool) {
	t.Helper()
	want, wrong := slowly(text)
	var one ImportedTokens
	for range 2 { // what was read before is remembered
		got, err := one.Read(text)
		if fmt.Sprint(err) != fmt.Sprint(wrong) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read as %+v, %v; encoding/json reads %+v, %v", text, got, err, want, wrong)
		}
	}
	const other = `{"sha256":"00","owner":"bob","display_name":"ci","kind":"read","grants":[{"entity":{"type":"organization","name":"acme"},"permissions":["a"]}]}`
	for _, body := range []string{`{"tokens":[TOKEN]}`, ` { "tokens" : [` + other + `, TOKEN ,` + other + `] } `, `{"tokens":[TOKEN,TOKEN]}`} {
		text := bytes.ReplaceAll([]byte(body), []byte("TOKEN"), text)
		list, ok := (&plainTokens{text: text}).body(10)
		if !ok {
			continue
		}
		var in Import
		if err := readStrictly(text, &in); err != nil || !reflect.DeepEqual(list, in.Tokens) {
			t.Fatalf("%q is read as %+v; encoding/json reads %+v, %v", text, list, in.Tokens, err)
		}
	}
	return (&plainTokens{text: text}).token(&ImportedToken{})
}

// values are what a member may hold, rightly or not.
var values = []string{
	`"abc"`, `""`, `"fine-grained"`, `"größe 🔑"`, `"quo\"ted\\"`, `"\u00e9\ud83d\udd11"`, `"\ud800"`, `"\x41"`, "\"\xff\"", "\"tab\tin\"", `"open`, `"2026-01-02T03:04:05Z"`,
	`"2026-01-02T03:04:05.678+02:00"`, `"2026-01-02"`, `"2026\u002d01-02T03:04:05Z"`, `null`, `true`, `12`, `1e400`, `{}`, `[]`, `["a","b"]`, `["a",]`, `[1]`, `["]","["]`, `[["a"]]`, `[`,
	`[{"entity":{"type":"organization","name":"acme"},"permissions":["repo.write"]}]`, `[{"entity":{"type":"model","name":"acme/\u006d"},"permissions":[]},{}]`,
	`[{"entity":{"type":"organization","colour":"red"}}]`, `[{"Entity":{"TYPE":"organization"},"permissions":null}]`, `[{"permissions":["a"],"permissions":["b","c"]}]`, `[null]`, `null null`,
}

var members = []string{
	"sha256", "digest", "owner", "display_name", "kind", "grants", "global", "last4", "created_at", "expires_at", "purpose", "contact", "colour", "Owner", "SHA256", "own\\u0065r", "", "ſha256",
}

// draw makes a token, more or less right.
func draw(t *rapid.T) string {
	some := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	space := func() string { return some("space", "", "", "", " ", "\n\t", "\r", "\v") }
	var b strings.Builder
	b.WriteString(some("begin", "{", "{", "{", "{", " {", "", "["))
	for i := range rapid.IntRange(0, 6).Draw(t, "members") {
		if i > 0 {
			b.WriteString(some("comma", ",", ",", ",", ",", ",", " , ", "", ",,"))
		}
		b.WriteString(space() + `"` + some("name", members...) + `"` + space() + ":" + space() + some("value", values...) + space())
	}
	b.WriteString(some("end", "}", "}", "}", "}", "} ", "", "}}", "]", "} {}"))
	return b.String()
}

// TestWhatIsReadPlainlyIsReadAlike reads tokens that are right, or almost.
func TestWhatIsReadPlainlyIsReadAlike(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			if readsAlike(t, []byte(draw(t))) {
				plain++
			}
		}
	})
	if plain < 20 {
		t.Errorf("only %d were read plainly", plain)
	}
}

// TestATokenAsPatrolWritesItIsReadPlainly, or an import is slow.
func TestATokenAsPatrolWritesItIsReadPlainly(t *testing.T) {
	for _, text := range []string{
		`{"sha256":"3f0a","owner":"bob","display_name":"ci","kind":"read"}`,
		` { "digest": "3f0a", "owner": "bob", "display_name": "größe \"\u00e9\"", "kind": "fine-grained", "last4": "wxyz", "created_at": "2026-01-02T03:04:05Z", "expires_at": "2027-01-02T03:04:05.5+02:00",
			"purpose": "", "contact": "team@example.com", "global": ["discussion.write"], "grants": [{"entity": {"type": "organization", "name": "acme"}, "permissions": ["repo.write"]}, {"entity": {"type": "model", "name": "acme/m"}, "permissions": []}] } `,
		`{"grants":[],"global":[]}`,
	} {
		if !readsAlike(t, []byte(text)) {
			t.Errorf("encoding/json has to read %s", text)
		}
	}
}

func FuzzImportedToken(f *testing.F) {
	for i, name := range members {
		for k, value := range values {
			f.Add(fmt.Appendf(nil, `{"%s":%s,"%s":"x"}`, name, value, members[(i+k)%len(members)]))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		readsAlike(t, text)
	})
}
