package inventory

import "testing"

// Whoever is on the server's own socket is one person, however often they come.
func TestTheSocketIsOnePerson(t *testing.T) {
	for _, a := range []Actor{{Kind: "socket", Name: "uid:0"}, {Kind: "socket", Name: "uid:1000 (ops)"}, {Kind: "console", Name: "uid:0 (root)"}} {
		if got := a.Person(); got != "operator" {
			t.Errorf("%+v is %q", a, got)
		}
	}
	for _, a := range []Actor{{Kind: "console", Name: "alice"}, {Kind: "token", Name: "Alice"}} {
		if got := a.Person(); got != "user:alice" {
			t.Errorf("%+v is %q", a, got)
		}
	}
}
