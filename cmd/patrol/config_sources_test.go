package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheSectionSourcesIsCheckedByItsLine: each wrong one is told with its place.
func TestTheSectionSourcesIsCheckedByItsLine(t *testing.T) {
	dir := t.TempDir()
	secret, authority := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem")
	write(t, secret, "a secret")
	write(t, authority, certificate)
	good := strings.NewReplacer("SECRET", secret, "CA", authority).Replace(`sources:
  new_per_second: 5
  jwt:
    peers: [unix, 10.1.0.0/16]
    issuers:
      - {issuer: "https://login.example.com", payload: corp}
  introspection:
    - name: corp
      url: https://login.example.com/introspect
      format: "at_[a-z]{20}"
      client_id: patrol
      client_secret_file: SECRET
      ca_file: CA
      timeout: 1s
      cache: 30s
      cache_inactive: 5s
      per_second: 20
      cache_size: 1000
`)
	path := filepath.Join(dir, "patrol.yaml")
	write(t, path, good)
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if e := c.Sources.options().Endpoints[0]; e.SecretFile != secret || e.CAFile != authority || e.PerSecond != 20 {
		t.Errorf("%+v", e)
	}
	for name, change := range map[string][3]string{
		"a peer that is none":          {"unix, 10.1.0.0/16", "unix, everybody", "[4:19] sources.jwt.peers[1]: "},
		"everybody":                    {"10.1.0.0/16", "0.0.0.0/0", "[4:19] sources.jwt.peers[1]: "},
		"an identity that may not ask": {"unix, 10.1.0.0/16", "unix, \"tls:envoy.internal\"", "[4:19] sources.jwt.peers[1]: "},
		"no peers":                     {"    peers: [unix, 10.1.0.0/16]\n", "", "sources.jwt.peers: is missing"},
		"peers without issuers":        {"    issuers:\n      - {issuer: \"https://login.example.com\", payload: corp}\n", "", "sources.jwt.issuers: is missing"},
		"an issuer without a payload":  {", payload: corp", "", "sources.jwt.issuers[0].payload: is missing"},
		"an issuer without a name":     {"\"https://login.example.com\", payload", "\"\", payload", "[6:18] sources.jwt.issuers[0].issuer: is missing"},
		"a key that there is not":      {"payload: corp", "payloads: corp", `unknown field "payloads"`},
		"http to somewhere":            {"https://login.example.com/introspect", "http://login.example.com/introspect", "[9:12] sources.introspection[0].url: must be https"},
		"a URL with a password":        {"https://login.example.com/introspect", "https://a:b@login.example.com/", "[9:12] sources.introspection[0].url: "},
		"a format that is none":        {"at_[a-z]{20}", "at_[", "[10:15] sources.introspection[0].format: "},
		"a format of everything":       {"at_[a-z]{20}", ".*", "[10:15] sources.introspection[0].format: "},
		"no client":                    {"      client_id: patrol\n", "", "sources.introspection[0].client_id: is missing"},
		"no secret":                    {"      client_secret_file: " + secret + "\n", "", "sources.introspection[0].client_secret_file: is missing"},
		"a secret that is not there":   {"client_secret_file: " + secret, "client_secret_file: /nowhere", "[12:27] sources.introspection[0].client_secret_file: "},
		"a CA that is none":            {"ca_file: " + authority, "ca_file: " + secret, "[13:16] sources.introspection[0].ca_file: "},
		"a cache of days":              {"cache: 30s", "cache: 48h", "[15:14] sources.introspection[0].cache: "},
		"a name with a space":          {"name: corp", "name: my corp", "[8:13] sources.introspection[0].name: "},
		"less than nothing a second":   {"per_second: 20", "per_second: -1", "[17:19] sources.introspection[0].per_second: "},
		"less than nothing new":        {"new_per_second: 5", "new_per_second: -5", "[2:19] sources.new_per_second: "},
		"a name that is there already": {"    - name: corp", "    - {name: corp, url: \"https://a.example\", format: x, client_id: a, client_secret_file: " + secret + "}\n    - name: corp", "[9:13] sources.introspection[1].name: "},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, change[0]) {
				t.Fatalf("there is no %q", change[0])
			}
			write(t, path, strings.Replace(good, change[0], change[1], 1))
			if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), change[2]) {
				t.Errorf("it says %v; want %s", err, change[2])
			}
		})
	}
}

// certificate is one that signed itself.
var certificate = func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}()
