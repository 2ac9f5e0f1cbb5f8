package console

import (
	"maps"
	"slices"
	"testing"
)

func TestNamesThatAProviderMayGive(t *testing.T) {
	p, err := NewProvider(ProviderOptions{Issuer: "https://id.example", ClientID: "patrol", RedirectURL: "https://p.example/login/callback", SystemOwners: []string{"olivia"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[any]string{
		"bob": "bob", "Bob": "bob", "olivia": "olivia (operator)", "OLIVIA": "olivia (operator)",
		"ol\u0130via": "", "\u212aim": "", "uid:0 (root)": "", "uid:0": "", "": "", "a b": "", "../x": "", nil: "", 7: "",
	} {
		caller, err := p.caller(map[string]any{"preferred_username": name})
		got := caller.Name
		if caller.Operator {
			got += " (operator)"
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q logs in as %q, %v; want %q", name, got, err, want)
		}
	}
}

// TestRolesAreMappedFromTheGroupsThatASessionHolds: the greatest of each
// organization; groups that are mapped are kept of a claim of any length.
func TestRolesAreMappedFromTheGroupsThatASessionHolds(t *testing.T) {
	groups := []GroupRole{{"sec", "acme", "reviewer"}, {"heads", "acme", "admin"}, {"sec", "globex", "reviewer"}}
	p, err := NewProvider(ProviderOptions{Issuer: "https://id.example", ClientID: "patrol", RedirectURL: "https://p.example/login/callback", Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		claim any
		want  map[string]string
	}{
		{"one", []any{"sec"}, map[string]string{"acme": "reviewer", "globex": "reviewer"}},
		{"the greatest", []any{"sec", "heads"}, map[string]string{"acme": "admin", "globex": "reviewer"}},
		{"none that is mapped", []any{"others", 7, nil}, map[string]string{}},
		{"another form", "sec", map[string]string{}},
		{"no claim", nil, map[string]string{}},
		{"behind very many", append(slices.Repeat([]any{"another"}, 5000), "heads"), map[string]string{"acme": "admin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := p.caller(map[string]any{"preferred_username": "bob", "groups": c.claim})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.roles(caller.Groups); !maps.Equal(got, c.want) || len(caller.Groups) > mostGroups {
				t.Errorf("%d groups give %v, want %v", len(caller.Groups), got, c.want)
			}
		})
	}
}

func TestWhereALoginLeads(t *testing.T) {
	for next, want := range map[string]string{
		"/organizations/acme?x=1": "/organizations/acme?x=1", "": "/", "https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/",
		"/%0d%0aSet-Cookie:x": "/%0d%0aSet-Cookie:x", "javascript:alert(1)": "/", "/\tx": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}
