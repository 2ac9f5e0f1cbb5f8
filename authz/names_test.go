package authz_test

import (
	"testing"

	"github.com/patrol-authz/patrol/authz"
)

// TestNamesFoldByASCIIAlone: what Unicode would fold to a name is another one.
func TestNamesFoldByASCIIAlone(t *testing.T) {
	for name, want := range map[string]string{
		"Bob": "bob", "bob": "bob", "ACME-2": "acme-2", "": "", "m\u0130ke": "m\u0130ke", "\u212Aate": "\u212Aate", "\u00C9va": "\u00C9va",
	} {
		if got := authz.Fold(name); got != want {
			t.Errorf("%q folds to %q, want %q", name, got, want)
		}
	}
}
