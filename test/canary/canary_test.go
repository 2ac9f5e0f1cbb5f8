package canary_test

import (
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/test/canary"
)

// forms are the ways in which a secret can lie somewhere.
func forms(raw string) map[string]string {
	all := map[string]string{
		"as it is": raw, "escaped": "q=" + strings.ReplaceAll(url.QueryEscape(raw), "_", "%5F"), "escaped in lower case": strings.ReplaceAll(raw, "_", "%5f"),
		"escaped all over": "%70%74" + raw[2:], "a URL with a user": "http://git:" + raw + "@hub.example/", "JSON": fmt.Sprintf("{%q:%q}", "a", raw),
		"between NULs": "\x00" + raw + "\x00\x7f", "behind one that is none": "ptl_short ptl_ " + raw + " x",
	}
	// The secret alone and with a user before it: each place in base64's groups.
	for _, user := range []string{"", "g:", "gi:", "git:", "token:"} {
		for name, e := range map[string]*base64.Encoding{"base64": base64.StdEncoding, "base64url": base64.URLEncoding, "raw base64": base64.RawStdEncoding} {
			all[name+" of "+user] = "Basic " + e.EncodeToString([]byte(user+raw))
			all[name+" of "+user+", in a URL"] = url.QueryEscape(e.EncodeToString([]byte(user + raw)))
			all[name+" of "+user+", within"] = e.EncodeToString([]byte("{\"é\": \"" + user + raw + "\", \"more\": \"\xff\xfe\"}"))
		}
	}
	for at := range 50 { // mails wrap, wherever the line ends
		text := strings.Repeat("x", 76-at)
		var quoted strings.Builder
		w := quotedprintable.NewWriter(&quoted)
		fmt.Fprintf(w, "%s %s\r\nend é", text, raw)
		w.Close()
		all[fmt.Sprintf("quoted-printable at %d", at)] = quoted.String()
		encoded := base64.StdEncoding.EncodeToString([]byte(text + raw))
		all[fmt.Sprintf("wrapped base64 at %d", at)] = encoded[:20+at] + "\r\n" + encoded[20+at:]
	}
	return all
}

// A planted secret is found in whatever form: without this the search of all
// other tests would say nothing.
func TestAPlantedSecretIsFound(t *testing.T) {
	for range 20 {
		raw := credential.Generate().Reveal()
		for name, text := range forms(raw) {
			if !canary.Holds([]byte(text)) {
				t.Errorf("%s: not found in %q", name, text)
			}
		}
		clean := strings.Repeat("ptl_ and ptl_0123456789 %5F =\n", 3) + raw[4:] + " " + base64.StdEncoding.EncodeToString([]byte("git:"+raw[:20])) + raw[len(raw)-4:]
		if canary.Holds([]byte(clean)) {
			t.Errorf("found where none is: %s", clean)
		}
	}
}

func TestFoldersAreSearchedWhole(t *testing.T) {
	raw := credential.Generate().Reveal()
	dir := t.TempDir()
	for name, text := range map[string]string{"in/a/database": "SQLite format 3\x00\x01" + raw + "\x00\x7f", "alone": raw, "clean": "ptl_ and ptl_0123456789", "last4": raw[len(raw)-4:]} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, files, err := canary.Find(dir)
	if err != nil || len(found) != 2 || files != 4 {
		t.Errorf("found %v of %d files, %v", found, files, err)
	}
	if found, files, err := canary.Find(filepath.Join(dir, "nothing")); err != nil || len(found)+files > 0 {
		t.Errorf("a folder that is not there: %v %d %v", found, files, err)
	}
	for path, want := range map[string]string{dir: "holds a secret", t.TempDir(): "searched nothing", filepath.Join(dir, "nothing"): "searched nothing"} {
		trap := canary.NewTrap(t)
		canary.Folder(trap, path)
		if said := trap.Spring(); len(said) == 0 || !strings.Contains(said[0], want) {
			t.Errorf("%s: %v, want %q", path, said, want)
		}
	}
	trap := canary.NewTrap(t)
	canary.Text(trap, "the metrics", []byte("m{label=\""+raw+"\"} 1"))
	if said := trap.Spring(); len(said) != 1 || !strings.Contains(said[0], "the metrics holds") {
		t.Errorf("a text: %v", said)
	}
}
