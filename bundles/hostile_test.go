package bundles_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// signed is a tarball with OPA's signature by a key, or none with key "".
func signed(t *testing.T, key, revision, text string) []byte {
	t.Helper()
	b, err := bundle.NewReader(bytes.NewReader(tarball(t, map[string]string{
		".manifest": `{"revision": "` + revision + `", "roots": ["local"]}`, "local/policies/office_hours/policy.rego": text,
	}))).Read()
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		if err := b.GenerateSignature(bundle.NewSigningConfig(key, "HS256", ""), "ours", false); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).UseModulePath(true).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// altered changes a text within a tarball, and leaves its signature as it is.
func altered(t *testing.T, b []byte, from, to string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		text, _ := io.ReadAll(r)
		if files[h.Name] = strings.ReplaceAll(string(text), from, to); h.Name == "/.signatures.json" {
			files[h.Name] = string(text)
		}
	}
	return tarball(t, files)
}

// Where a key is configured, only what is signed by it is taken.
func TestOnlyWhatIsSignedByTheKeyIsTaken(t *testing.T) {
	const key = "a-key-of-at-least-32-bytes-length"
	good := signed(t, key, "good", fifth)
	for name, c := range map[string]struct {
		bundle []byte
		want   string
	}{
		"signed":                      {good, ""},
		"unsigned":                    {signed(t, "", "unsigned", fifth), "signature"},
		"signed by another key":       {signed(t, "another-key-of-at-least-32-bytes-len", "other", fifth), "verif"},
		"altered after it was signed": {altered(t, good, `"write"`, `"admin"`), "digest mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(c.bundle) }))
			defer server.Close()
			r, err := bundles.ParseRemote([]byte(fmt.Sprintf(`{"services": {"s": {"url": %q}}, "keys": {"ours": {"key": %q, "algorithm": "HS256"}}, "bundles": {"ours": {"service": "s",
				"resource": "b.tar.gz", "signing": {"keyid": "ours"}, "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}}}`, server.URL, key)))
			if err != nil {
				t.Fatal(err)
			}
			o := options(t.TempDir())
			o.Remote = r
			m := start(t, o)
			eventually(t, "an answer", func() bool { return m.Ruleset() != nil || m.Status()[1].Error != "" })
			if got := m.Status()[1].Error; c.want == "" && (m.Ruleset() == nil || !m.HasPolicy("office_hours")) || c.want != "" && (m.Ruleset() != nil || !strings.Contains(got, c.want)) {
				t.Errorf("active: %t, error: %q", m.Ruleset() != nil, got)
			}
		})
	}
}

func numbered(serial int) map[string]string {
	return map[string]string{
		".manifest":                          fmt.Sprintf(`{"revision": "r%d", "roots": ["local"], "metadata": {"patrol": {"serial": %d}}}`, serial, serial),
		"local/policies/office_hours/p.rego": fifth,
	}
}

// A bundle that was good once stays signed for ever: the serial keeps it from
// coming back, also over a restart.
func TestAnOlderBundleIsNotTakenAgain(t *testing.T) {
	dir, state := write(t, t.TempDir(), numbered(7)), t.TempDir()
	first := bundles.New(options(state, dir))
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first.Ruleset() == nil {
		t.Fatalf("%+v", first.Status())
	}
	write(t, dir, numbered(6))
	eventually(t, "the older one is refused", func() bool { return strings.Contains(first.Status()[1].Error, "serial 6 is older") })
	if first.Ruleset().Roots["local"] != "r7" {
		t.Error("the older one is active")
	}
	first.Close()
	again := start(t, options(state, dir))
	if r := again.Ruleset(); r == nil || r.Roots["local"] != "r7" || !strings.Contains(again.Status()[1].Error, "serial 6 is older") {
		t.Errorf("after a restart: %+v", again.Status())
	}
	write(t, dir, numbered(8))
	eventually(t, "the newer one is active", func() bool { return again.Ruleset().Roots["local"] == "r8" })
}

func TestASerialThatIsNoneIsRefused(t *testing.T) {
	for _, serial := range []string{"0", "-1", "1.5", `"x"`, "null"} {
		dir := write(t, t.TempDir(), numbered(1))
		write(t, dir, map[string]string{".manifest": `{"roots": ["local"], "metadata": {"patrol": {"serial": ` + serial + `}}}`})
		if m := start(t, options("", dir)); m.Ruleset() != nil || !strings.Contains(m.Status()[1].Error, "metadata.patrol.serial") {
			t.Errorf("%s: %+v", serial, m.Status()[1])
		}
	}
}

// A rule cannot leave the process unless hosts are configured.
func TestARuleCannotAskOtherHosts(t *testing.T) {
	for name, rule := range map[string]string{
		"http.send":          `http.send({"method": "GET", "url": "http://169.254.169.254/"}).status_code == 200`,
		"net.lookup_ip_addr": `count(net.lookup_ip_addr("inside.example")) > 0`,
	} {
		dir := write(t, t.TempDir(), map[string]string{"local/checks/a/check.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if " + rule + "\n"})
		m := start(t, options("", dir))
		if got := m.Status()[1].Error; m.Ruleset() != nil || !strings.Contains(got, "check.rego:3") || !strings.Contains(got, name) {
			t.Errorf("%s: %q", name, got)
		}
		o := options("", dir)
		o.AllowNet = []string{"inside.example"}
		if m := start(t, o); m.Ruleset() == nil && strings.Contains(m.Status()[1].Error, "undefined function") {
			t.Errorf("%s with hosts: %+v", name, m.Status()[1])
		}
	}
}

// A policy may not take memory without bound: it would for each request.
func TestAPolicyThatAllocatesWithoutBoundIsRefused(t *testing.T) {
	for name, rule := range map[string]string{
		"a doubled text": "x0 := \"0123456789abcdef\"\n" + doublings(25) + "\nreasons contains \"policy_denied\" if x25 == \"\"\n",
		"a long range":   "reasons contains \"policy_denied\" if count(numbers.range(1, 1000000000)) == 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), map[string]string{"local/checks/a/check.rego": "package local.checks.a\n\n" + rule})
			m := start(t, options("", dir))
			if got := m.Status()[1].Error; m.Ruleset() != nil || !strings.Contains(got, "probe") {
				t.Errorf("%q", got)
			}
		})
	}
}

func doublings(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%d := concat(\"\", [x%d, x%d])\n", i+1, i, i)
	}
	return b.String()
}

// Links in an archive lead nowhere, and what unpacks to more than a bundle may
// be is refused, however it is cut into files.
func TestLinksInATarballLeadNowhere(t *testing.T) {
	secret := filepath.Join(write(t, t.TempDir(), map[string]string{"secret.json": `{"hidden": true}`}), "secret.json")
	for name, kind := range map[string]byte{"symbolic": tar.TypeSymlink, "hard": tar.TypeLink} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		text := "package local.a\n\nx := 1\n"
		for _, h := range []*tar.Header{{Name: "local/data.json", Linkname: secret, Typeflag: kind, Mode: 0o644}, {Name: "local/a.rego", Size: int64(len(text)), Typeflag: tar.TypeReg, Mode: 0o644}} {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				_, _ = w.Write([]byte(text))
			}
		}
		w.Close()
		z.Close()
		dir := write(t, t.TempDir(), map[string]string{"b.tar.gz": b.String()})
		o := options("", filepath.Join(dir, "b.tar.gz"))
		seen := false
		build := o.Build
		o.Build = func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
			local, _ := c.Data["local"].(map[string]any)
			seen = seen || local["hidden"] != nil
			return build(ctx, c)
		}
		if m := start(t, o); m.Ruleset() == nil || seen {
			t.Errorf("a %s link: data of another file: %t; %+v", name, seen, m.Status()[1])
		}
	}
}

func TestATarballOfManyFilesIsBoundAsAWhole(t *testing.T) {
	files := map[string]string{}
	for i := range 5 {
		files[fmt.Sprintf("local/x%d/data.json", i)] = `"` + strings.Repeat("x", 60<<20) + `"`
	}
	dir := write(t, t.TempDir(), map[string]string{"b.tar.gz": string(tarball(t, files))})
	if m := start(t, options("", filepath.Join(dir, "b.tar.gz"))); m.Ruleset() != nil || !strings.Contains(m.Status()[1].Error, "unpacks to more than") {
		t.Errorf("%+v", m.Status()[1])
	}
}
