package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheSectionSourcesIsCheckedByItsLine: each wrong one is told with its place.
func TestTheSectionSourcesIsCheckedByItsLine(t *testing.T) {
	const good = `sources:
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
      client_secret_file: secret
      ca_file: ca.pem
      timeout: 1s
      cache: 30s
      cache_inactive: 5s
      per_second: 20
      cache_size: 1000
`
	path := filepath.Join(t.TempDir(), "patrol.yaml")
	write(t, path, good)
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if e := c.Sources.options().Endpoints[0]; e.SecretFile != filepath.Join(filepath.Dir(path), "secret") || e.CAFile != filepath.Join(filepath.Dir(path), "ca.pem") || e.PerSecond != 20 {
		t.Errorf("%+v", e)
	}
	for name, change := range map[string][3]string{
		"a peer that is none":          {"unix, 10.1.0.0/16", "unix, everybody", "[4:19] sources.jwt.peers[1]: "},
		"everybody":                    {"10.1.0.0/16", "0.0.0.0/0", "[4:19] sources.jwt.peers[1]: "},
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
		"no secret":                    {"      client_secret_file: secret\n", "", "sources.introspection[0].client_secret_file: is missing"},
		"a cache of days":              {"cache: 30s", "cache: 48h", "[15:14] sources.introspection[0].cache: "},
		"a name with a space":          {"name: corp", "name: my corp", "[8:13] sources.introspection[0].name: "},
		"less than nothing a second":   {"per_second: 20", "per_second: -1", "[17:19] sources.introspection[0].per_second: "},
		"less than nothing new":        {"new_per_second: 5", "new_per_second: -5", "[2:19] sources.new_per_second: "},
		"a name that is there already": {"    - name: corp", "    - {name: corp, url: \"https://a.example\", format: x, client_id: a, client_secret_file: b}\n    - name: corp", "[9:13] sources.introspection[1].name: "},
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
