package bundles_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// signedBy packs a revision as a bundle service has it, signed by a key.
func signedBy(t *testing.T, secret, revision string) []byte {
	t.Helper()
	dir := t.TempDir()
	release(t, dir, revision)
	return signedDir(t, secret, dir)
}

func signedDir(t *testing.T, secret, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := bundles.Pack(context.Background(), patient(""), dir, bundles.Packing{Sign: &bundles.Key{Text: secret, Algorithm: "HS256", ID: "ours"}}, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWhereBundlesAreSignedSoIsWhatComesFromTheHistoryAndBecomesAShadow: rolling
// back, shadows and promoting are no way around a signature, and what was made active so is there
// after a restart while the service does not answer.
func TestWhereBundlesAreSignedSoIsWhatComesFromTheHistoryAndBecomesAShadow(t *testing.T) {
	var content atomic.Pointer[[]byte]
	put := func(b []byte) { content.Store(&b) }
	put(signedBy(t, "secret", "one"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(*content.Load())
	}))
	defer server.Close()
	state, c := t.TempDir(), comparer(t)
	o := shadowed(state, c)
	var err error
	o.Remote, err = bundles.ParseRemote([]byte(fmt.Sprintf(`{"services": {"s": {"url": %q}}, "keys": {"ours": {"algorithm": "HS256", "key": "secret"}}, "bundles": {"ours": {
		"service": "s", "resource": "b.tar.gz", "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}, "signing": {"keyid": "ours"}}}}`, server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, o)
	becomes(t, m, "one")
	put(signedBy(t, "secret", "two"))
	becomes(t, m, "two")
	list, _ := m.History()
	if len(list) != 2 || !list[0].Signed || !list[1].Signed {
		t.Fatalf("%+v", list)
	}
	ctx := context.Background()
	again := func(want string) {
		t.Helper()
		m.Close()
		server.Config.Handler = http.NotFoundHandler()
		if m = start(t, o); active(m) != want || m.Status()[1].Held == nil {
			t.Fatalf("after a restart %s is active: %+v", active(m), m.Status()[1])
		}
	}
	rollBack(t, m, "one")
	server.CloseClientConnections()
	again("one")
	if c, err := m.Release(ctx, authz.BundleAct{}); err != nil || c.Digest != "" || m.Status()[1].Held != nil {
		t.Errorf("while the service does not answer: %+v, %v", c, err)
	}

	for name, text := range map[string][]byte{"unsigned": packed(t, freeze(t, "frozen")), "by another key": signedBy(t, "another", "frozen")} {
		if _, _, err := m.SetShadow(ctx, authz.BundleAct{}, text, 1); kindOf(err) != authz.BundleInvalid {
			t.Errorf("a shadow that is %s: %v", name, err)
		}
	}
	if _, _, err := m.SetShadow(ctx, authz.BundleAct{}, signedBy(t, "secret", "three"), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Promote(ctx, authz.BundleAct{By: "eve"}, authz.PromotionGuard{}); err != nil {
		t.Fatal(err)
	}
	again("three")

	// An entry that somebody made anew, its description too, has no signature.
	names, _ := filepath.Glob(filepath.Join(state, "bundles", "history", "*", "*.json"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		if v["revision"] != "two" {
			continue
		}
		dir := t.TempDir()
		release(t, dir, "two")
		forged := packed(t, dir)
		sum := sha256.Sum256(forged)
		v["sha256"], v["bytes"] = hex.EncodeToString(sum[:]), len(forged)
		text, _ = json.Marshal(v)
		for file, content := range map[string][]byte{name: text, strings.TrimSuffix(name, ".json") + ".tar.gz": forged} {
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	again("three")
	if _, err := m.RollBack(ctx, authz.BundleAct{To: "two"}); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "signature") {
		t.Errorf("what is not signed: %v", err)
	}
}
