package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/credential"
)

func TestTokenScan(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(t.TempDir(), "patrol")
	build(t, "cmd/patrol", binary)
	secret := credential.Generate().Reveal()
	files := map[string]string{
		"clean/README.md": "no secret, ptl_ and ptl_" + strings.Repeat("a", 42) + "\n",
		"dirty/.env":      "A=1\nTOKEN=" + secret + "\n",
		"dirty/tool.bin":  "\x7fELF\x00" + secret,
		"dirty/large.txt": strings.Repeat(" ", 3000) + secret,
		"dirty/sub/b.yml": "token: '" + secret + "'\n",
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.Symlink(filepath.Join(dir, "dirty"), filepath.Join(dir, "clean", "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		stdin string
		args  []string
		exit  int
		want  []string // in standard output, and nothing else of files
		told  []string // on standard error
	}{
		{"nothing found", "", []string{"clean"}, 0, nil, []string{"0 found in 1 files"}},
		{"found", "", []string{"dirty"}, 1, []string{"dirty/.env:2:7 ", "dirty/large.txt:1:3001", "dirty/sub/b.yml:1:9", secret[len(secret)-4:]}, []string{"3 found in 4 files"}},
		{"a large file is passed over, and named", "", []string{"dirty", "--max-size", "2kB"}, 1, []string{".env", "b.yml"}, []string{"large.txt: passed over", "2 found"}},
		{"one file", "", []string{"dirty/.env"}, 1, []string{"dirty/.env:2:7"}, nil},
		{"standard input", "x\n" + secret, []string{"-"}, 1, []string{"-:2:1"}, nil},
		{"clean standard input", "x\n", []string{"-"}, 0, nil, nil},
		{"a binary on standard input", "\x00", []string{"-"}, 1, nil, []string{"-: is a binary file"}},
		{"what is not there", "", []string{"nowhere", "clean"}, 1, nil, []string{"nowhere", "no such file", "could not be read"}},
		{"no path", "", nil, 2, nil, []string{"<path>"}},
		{"a size that is none", "", []string{"clean", "--max-size", "much"}, 2, nil, []string{"--max-size", "much"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"token", "scan"}, c.args...)...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(c.stdin)
			var out, told bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &told
			_ = cmd.Run()
			if cmd.ProcessState.ExitCode() != c.exit {
				t.Errorf("exit %d, want %d: %s", cmd.ProcessState.ExitCode(), c.exit, told.String())
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%q is not in\n%s", w, out.String())
				}
			}
			for _, w := range c.told {
				if !strings.Contains(told.String(), w) {
					t.Errorf("%q is not told in\n%s", w, told.String())
				}
			}
			if len(c.want) == 0 && strings.Contains(out.String(), "ends in") || strings.Contains(out.String()+told.String(), secret) {
				t.Errorf("printed:\n%s%s", out.String(), told.String())
			}
		})
	}
	cmd := exec.Command(binary, "token", "scan", "dirty/.env", "-o", "json")
	cmd.Dir = dir
	out, _ := cmd.Output()
	var list []scanned
	if err := json.Unmarshal(out, &list); err != nil || len(list) != 1 || list[0].Path != "dirty/.env" || list[0].Line != 2 || list[0].Last4 != secret[len(secret)-4:] {
		t.Errorf("as JSON: %s (%v)", out, err)
	}
}
