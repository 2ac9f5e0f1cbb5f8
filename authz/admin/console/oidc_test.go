package console

import "testing"

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
