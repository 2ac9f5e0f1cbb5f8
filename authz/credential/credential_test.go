package credential_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// headers is a request of which only headers matter.
type headers map[string][]string

func (h headers) Header(name string) (string, int) {
	if len(h[name]) == 0 {
		return "", 0
	}
	return h[name][0], len(h[name])
}
func (headers) Method() string                       { return "GET" }
func (headers) Path() string                         { return "/" }
func (headers) Host() string                         { return "" }
func (headers) Scheme() string                       { return "" }
func (headers) Protocol() string                     { return "" }
func (headers) ID() string                           { return "" }
func (headers) EachHeader(func(string, string) bool) {}
func (headers) Body() authz.Body                     { return authz.Body{} }
func (headers) Extension(string) (string, bool)      { return "", false }
func (headers) Source() authz.Peer                   { return authz.Peer{} }
func (headers) Destination() authz.Peer              { return authz.Peer{} }
func (headers) Attributes() (map[string]any, error)  { return nil, nil }

func TestASecretPrintsAsRedacted(t *testing.T) {
	s := credential.Generate()
	j, _ := json.Marshal(map[string]any{"a": s, "b": &s})
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), string(j), fmt.Sprint(struct{ S credential.Secret }{s})} {
		if strings.Contains(text, s.Reveal()[4:]) {
			t.Errorf("it shows in %s", text)
		}
	}
}

func TestIssuedSecretsCarryAChecksum(t *testing.T) {
	s := credential.Generate().Reveal()
	if !credential.Valid(s) || len(s) != 46 || credential.CheckQuery(s) == nil {
		t.Errorf("a new secret is not valid")
	}
	other := []byte(s)
	other[10] ^= 1
	if credential.Valid(string(other)) {
		t.Error("a changed one is valid")
	}
}

func TestTheKeyIsMadeOnceAndKeptFromOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	a, err := credential.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := credential.LoadOrCreateKey(path)
	if err != nil || string(a) != string(b) {
		t.Fatal("another key the second time")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	_ = os.Chmod(path, 0o640)
	if _, err := credential.LoadOrCreateKey(path); err == nil {
		t.Error("a key that others may read was taken")
	}
}

func TestASecondCredentialHeaderIsACredential(t *testing.T) {
	p := credential.Parser{Headers: []string{"X-Api-Key"}}
	c, err := p.Parse(headers{"x-api-key": {"abc"}})
	if err != nil || c.Secret.Reveal() != "abc" {
		t.Errorf("%v %v", c, err)
	}
	if _, err := p.Parse(headers{"x-api-key": {"abc"}, "authorization": {"Bearer d"}}); err == nil {
		t.Error("two credentials were taken")
	}
	if _, err := p.Parse(headers{"authorization": {"Bearer a", "Bearer b"}}); err == nil {
		t.Error("two headers were taken")
	}
}

// FuzzParse: whatever is sent, it is refused by a Refusal that does not quote
// it, or read as a secret of RFC 6750's characters.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"Bearer x", "bearer  x", "Basic YTpi", "Basic Og==", "Bearer a,b", "", "Digest x, Bearer y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, err := credential.Parser{}.Parse(headers{"authorization": {value}})
		if err != nil {
			var r *authz.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("error %v", err)
			}
			if len(value) > 20 && strings.Contains(err.Error(), value) {
				t.Fatal("the error quotes the credential")
			}
			return
		}
		if c.Facts.State == authz.CredentialPresent && (c.Secret.Reveal() == "" || strings.ContainsAny(c.Secret.Reveal(), " ,;\r\n\x00\"")) {
			t.Fatalf("took %q", c.Secret.Reveal())
		}
	})
}

func TestIdentitiesAreToldApart(t *testing.T) {
	d, err := credential.NewDigester([]byte("a key of thirty-two bytes, or so"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[authz.Digest]string{}
	for name, digest := range map[string]authz.Digest{
		"jwt a b":            d.Identity("jwt", "a", "b"),
		"jwt ab, nothing":    d.Identity("jwt", "ab", ""),
		"jwt nothing, ab":    d.Identity("jwt", "", "ab"),
		"jwt a":              d.Identity("jwt", "a"),
		"jwta b":             d.Identity("jwta", "b"),
		"introspection a b":  d.Identity("introspection", "a", "b"),
		"a secret":           d.Secret(credential.NewSecret("ab")),
		"a secret, in parts": d.Secret(credential.NewSecret("jwt\x00a\x00b")),
	} {
		if other, taken := seen[digest]; taken {
			t.Errorf("%s is %s", name, other)
		}
		seen[digest] = name
	}
	if name := seen[d.Identity("jwt", "a")]; name != "jwt a" {
		t.Errorf("an identity is not the same the second time: %q", name)
	}
}
