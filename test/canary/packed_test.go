package canary_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/test/canary"
)

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archive(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "a", Mode: 0o600, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAPackedSecretIsFound: a backup is packed by gzip, a bundle by tar and gzip.
func TestAPackedSecretIsFound(t *testing.T) {
	raw := credential.Generate().Reveal()
	text := []byte(strings.Repeat("the same words again and again, ptl_ ", 2000) + raw + " and more")
	for name, c := range map[string]struct {
		file []byte
		want int
	}{
		"gzip":                     {gzipped(t, text), 1},
		"two gzips in one file":    {append(gzipped(t, []byte("x")), gzipped(t, text)...), 1},
		"a tarball":                {gzipped(t, archive(t, text)), 1},
		"gzip in tar":              {archive(t, gzipped(t, text)), 1},
		"a tarball in a tarball":   {gzipped(t, archive(t, gzipped(t, archive(t, text)))), 1},
		"a tarball cut short":      {gzipped(t, archive(t, text))[:len(gzipped(t, archive(t, text)))-12], 1},
		"a tarball with none":      {gzipped(t, archive(t, text[:20000])), 0},
		"what only begins as gzip": {[]byte("\x1f\x8b no"), 0},
	} {
		if canary.Holds(c.file) {
			t.Errorf("%s: the secret can be read without unpacking, the case says nothing", name)
		}
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if found, _, err := canary.Find(path); err != nil || len(found) != c.want {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
}
