package bundles_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

func remote(t *testing.T, url string) *bundles.Remote {
	t.Helper()
	r, err := bundles.ParseRemote([]byte(fmt.Sprintf(`{"services": {"s": {"url": %q}}, "bundles": {"ours": {"service": "s", "resource": "b.tar.gz", "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}}}`, url)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A bundle service is polled; what it gives goes through the same gate; a bad
// one keeps what is active; with the service down the last good one serves.
func TestABundleServiceIsFollowed(t *testing.T) {
	var content atomic.Pointer[[]byte]
	put := func(revision, text string) {
		b := tarball(t, map[string]string{".manifest": `{"revision": "` + revision + `", "roots": ["local"]}`, "local/policies/office_hours/policy.rego": text})
		content.Store(&b)
	}
	put("one", fifth)
	var unchanged atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := *content.Load()
		tag := fmt.Sprintf(`"%x"`, len(b)*7+int(b[len(b)-5]))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(b)
	}))
	state := t.TempDir()
	o := options(state)
	o.Remote = remote(t, server.URL)
	m := start(t, o)
	eventually(t, "the first bundle is active", func() bool { return m.HasPolicy("office_hours") && m.Ruleset().Roots["local"] == "one" })
	eventually(t, "the ETag spares a download", func() bool { return unchanged.Load() > 0 })
	put("bad", "package local.policies.office_hours\n\nreasons contains \"made_up\" if true\n")
	eventually(t, "the bad one is reported", func() bool { return strings.Contains(m.Status()[1].Error, "made_up") })
	if m.Ruleset().Roots["local"] != "one" {
		t.Error("the bad one is active")
	}
	put("two", fifth)
	eventually(t, "the next good one is active", func() bool { return m.Ruleset().Roots["local"] == "two" })
	m.Close()
	server.Close()
	again := options(state)
	again.Remote = remote(t, server.URL)
	if r := start(t, again).Ruleset(); r == nil || r.Roots["local"] != "two" {
		t.Errorf("with the service down: %+v", r)
	}
}

func TestABundleServiceThatNeverAnsweredLeavesNothingActive(t *testing.T) {
	o := options(t.TempDir())
	o.Remote = remote(t, "http://127.0.0.1:1")
	if start(t, o).Ruleset() != nil {
		t.Error("the base serves without its overlay")
	}
}

func TestOPAsConfigurationIsReadStrictly(t *testing.T) {
	for want, section := range map[string]string{
		"bundels":                 `{"bundels": {}}`,
		"opa.bundles.x.resorce":   `{"services": {"s": {"url": "http://x"}}, "bundles": {"x": {"service": "s", "resorce": "y"}}}`,
		`there is no service "t"`: `{"services": {"s": {"url": "http://x"}}, "bundles": {"x": {"service": "t"}}}`,
		"opa.services[0].name":    `{"services": [{"url": "http://x"}]}`,
		"opa.bundles.x.signing":   `{"services": {"s": {"url": "http://x"}}, "bundles": {"x": {"service": "s", "signing": {"keyid": "none"}}}}`,
	} {
		if _, err := bundles.ParseRemote([]byte(section)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", section, err)
		}
	}
}

// What an archive must not do: write outside of memory, or grow without end.
func TestATarballStaysInItsPlace(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "a", "b")
	write(t, dir, map[string]string{"b.tar.gz": string(tarball(t, map[string]string{"../../escaped/a.rego": "package local.a\n\nx := 1\n"}))})
	start(t, options(filepath.Join(dir, "state"), filepath.Join(dir, "b.tar.gz")))
	found := 0
	err := filepath.WalkDir(outer, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
			if filepath.Ext(path) != ".gz" && !strings.HasPrefix(path, filepath.Join(dir, "state", "bundles")) {
				t.Errorf("%s was written", path)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d files, %v", found, err)
	}
}

func TestATarballThatGrowsWithoutEndIsRefused(t *testing.T) {
	dir := t.TempDir()
	bomb := tarball(t, map[string]string{"local/x/data.json": `"` + strings.Repeat("x", 65<<20) + `"`})
	write(t, dir, map[string]string{"b.tar.gz": string(bomb)})
	m := start(t, options("", dir+"/b.tar.gz"))
	if m.Ruleset() != nil || m.Status()[1].Error == "" {
		t.Errorf("%d bytes that unpack to 65 MB were taken", len(bomb))
	}
}
