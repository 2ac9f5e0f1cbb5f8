// Package envoy holds the configurations that put patrol behind Envoy, and runs
// a real Envoy with them: for the demo and for tests. The YAML files are plain
// examples that work as they stand; [Config.Render] only changes addresses.
package envoy

import (
	"embed"
	"fmt"
	"net"
	"strings"
)

//go:embed strict.yaml raw.yaml unix-socket.yaml jwt.yaml
var files embed.FS

// The two configurations.
const (
	// Strict normalizes paths and rejects what is ambiguous before patrol is asked.
	Strict = "strict"
	// Raw changes nothing: patrol alone refuses.
	Raw = "raw"
)

// Config says which file to render, and the addresses to put in it. Those that
// are empty stay as the file has them.
type Config struct {
	// File is Strict or Raw.
	File string
	// Listen is where clients come in, host:port; port 0 lets the system choose.
	Listen string
	// Admin is the address of Envoy's own administration.
	Admin string
	// Patrol is ext_authz's address: host:port, or unix:PATH.
	Patrol string
	// Upstream is what Envoy stands in front of.
	Upstream string
	// JWT puts the parts of jwt.yaml in, where it is not nil.
	JWT *JWT
}

// JWT says whose tokens Envoy verifies.
type JWT struct {
	Issuer string
	Keys   string // a JSON Web Key Set (RFC 7517)
}

// The addresses of the files, as the default of each.
const (
	defaultListen   = "127.0.0.1:10000"
	defaultAdmin    = "127.0.0.1:9901"
	defaultPatrol   = "127.0.0.1:9191"
	defaultUpstream = "127.0.0.1:18081"
)

// Render returns the configuration's YAML.
func (c Config) Render() (string, error) {
	text, err := files.ReadFile(c.File + ".yaml")
	if err != nil {
		return "", fmt.Errorf("envoy configuration %q: there are %s and %s", c.File, Strict, Raw)
	}
	yaml := string(text)
	for _, change := range []struct {
		from, to string
		times    int
	}{
		{defaultListen, c.Listen, 1},
		{defaultAdmin, c.Admin, 1},
		{defaultPatrol, c.Patrol, 1},
		{defaultUpstream, c.Upstream, 2}, // HTTP and gRPC
	} {
		if change.to == "" {
			continue
		}
		from, err := address(change.from)
		if err != nil {
			return "", err
		}
		to, err := address(change.to)
		if err != nil {
			return "", err
		}
		if n := strings.Count(yaml, from); n != change.times {
			return "", fmt.Errorf("envoy configuration %s: %s occurs %d times, want %d", c.File, from, n, change.times)
		}
		yaml = strings.ReplaceAll(yaml, from, to)
	}
	return c.withJWT(yaml)
}

// withJWT puts the parts of jwt.yaml where its comments say.
func (c Config) withJWT(yaml string) (string, error) {
	if c.JWT == nil {
		return yaml, nil
	}
	part, err := files.ReadFile("jwt.yaml")
	if err != nil {
		return "", err
	}
	const (
		filter  = "          - name: envoy.filters.http.ext_authz\n"
		version = "              transport_api_version: V3\n"
		line    = "metadata_context_namespaces: [envoy.filters.http.jwt_authn]"
	)
	text := string(part)
	for _, change := range [][2]string{{"https://login.example.com ", c.JWT.Issuer + " "}, {`'{"keys":[]}'`, "'" + c.JWT.Keys + "'"}} {
		if strings.Count(text, change[0]) != 1 || strings.Contains(change[1], "\n") {
			return "", fmt.Errorf("envoy configuration jwt: %s can't be replaced", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	if strings.Count(yaml, filter) != 1 || strings.Count(yaml, version) != 1 || !strings.Contains(text, "#     "+line) {
		return "", fmt.Errorf("envoy configuration %s: there is no place for jwt.yaml", c.File)
	}
	indented := "          " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n          ") + "\n"
	yaml = strings.Replace(yaml, filter, indented+filter, 1)
	return strings.Replace(yaml, version, version+"              "+line+"\n", 1), nil
}

// address writes an address as Envoy's YAML has it.
func address(a string) (string, error) {
	if path, ok := strings.CutPrefix(a, "unix:"); ok {
		return fmt.Sprintf("{pipe: {path: %q}}", path), nil
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", a, err)
	}
	return fmt.Sprintf("{socket_address: {address: %s, port_value: %s}}", host, port), nil
}
