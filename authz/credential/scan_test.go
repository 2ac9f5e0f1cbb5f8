package credential_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/patrol-authz/patrol/authz/credential"
)

func TestScanFindsIssuedSecrets(t *testing.T) {
	secret := credential.Generate().Reveal()
	wrong := secret[:len(secret)-1] + string('A'+(secret[len(secret)-1]+1-'A')%26)
	last4 := secret[len(secret)-4:]
	cases := []struct {
		name, text string
		want       string // line:column of each
	}{
		{"alone", secret, "1:1"},
		{"in a line of its own", "a\nb\n" + secret + "\n", "3:1"},
		{"in quotes, twice", `x = "` + secret + `", '` + secret + "'\n", fmt.Sprintf("1:6 1:%d", 6+len(secret)+4)},
		{"behind an underscore, as in a variable's default", "TOKEN_" + secret, "1:7"},
		{"in a URL", "https://git:" + secret + "@hub.example/acme", "1:13"},
		{"a wrong checksum", wrong, ""},
		{"a part of it", secret[:len(secret)-1], ""},
		{"in a longer word", secret + "x", ""},
		{"behind a letter", "x" + secret, ""},
		{"the prefix again and again", strings.Repeat("ptl_", 50) + secret, "1:201"},
		{"nothing", "", ""},
		{"in the middle of much text", strings.Repeat("pppppppppp\n", 20_000) + "  " + secret + strings.Repeat("\np", 100_000), "20001:3"},
	}
	for _, c := range cases {
		for kind, reader := range map[string]io.Reader{
			"whole": strings.NewReader(c.text), "in halves": iotest.HalfReader(strings.NewReader(c.text)), "by bytes": iotest.OneByteReader(strings.NewReader(c.text)),
			"with the end at once": iotest.DataErrReader(strings.NewReader(c.text)),
		} {
			var got []string
			err := credential.Scan(reader, func(f credential.Found) {
				got = append(got, fmt.Sprintf("%d:%d", f.Line, f.Column))
				if f.Last4 != last4 {
					t.Errorf("%s: the last four are %q", c.name, f.Last4)
				}
			})
			if holds := credential.Holds(c.text); holds != (c.want != "" || strings.HasSuffix(c.name, "longer word") || c.name == "behind a letter") {
				t.Errorf("%s: that it holds one is said to be %v", c.name, holds)
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%s, read %s: found at %q (%v), want %q", c.name, kind, got, err, c.want)
			}
		}
	}
}

// Wherever a buffer ends, a secret across two is found.
func TestScanFindsSecretsAcrossBuffers(t *testing.T) {
	secret := credential.Generate().Reveal()
	for before := 64<<10 - 60; before < 64<<10+60; before++ {
		n := 0
		if err := credential.Scan(strings.NewReader(strings.Repeat(" ", before)+secret+" and more"), func(f credential.Found) {
			if n++; f.Column != before+1 {
				t.Errorf("behind %d bytes it is found at %d", before, f.Column)
			}
		}); err != nil || n != 1 {
			t.Errorf("behind %d bytes it is found %d times (%v)", before, n, err)
		}
	}
}

func TestScanTellsWhatItCannotRead(t *testing.T) {
	none := func(credential.Found) { t.Error("something was found") }
	if err := credential.Scan(strings.NewReader("ELF\x00"+credential.Generate().Reveal()), none); !errors.Is(err, credential.ErrBinary) {
		t.Errorf("a binary: %v", err)
	}
	if err := credential.Scan(iotest.ErrReader(io.ErrUnexpectedEOF), none); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken reader: %v", err)
	}
}
