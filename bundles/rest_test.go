package bundles

import (
	"io/fs"
	"testing"

	"github.com/patrol-authz/patrol/rego"
)

// TestWhatRestsIsParsedAgainAsItWas, annotations and places included.
func TestWhatRestsIsParsedAgainAsItWas(t *testing.T) {
	l, again := mustRead(t, rego.Base()), mustRead(t, rego.Base())
	again.rest()
	if err := again.wake(); err != nil {
		t.Fatal(err)
	}
	if len(l.Modules) == 0 {
		t.Fatal("nothing to parse")
	}
	for i, m := range l.Modules {
		got := again.Modules[i].Parsed
		if !m.Parsed.Equal(got) || len(m.Parsed.Annotations) != len(got.Annotations) || !m.Parsed.Package.Location.Equal(got.Package.Location) {
			t.Errorf("%s is otherwise:\n%s", m.Path, got)
		}
	}
}

func mustRead(t *testing.T, f fs.FS) *loaded {
	t.Helper()
	l, err := readFS(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
