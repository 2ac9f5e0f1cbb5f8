package bundles_test

import (
	"testing"

	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

// TestAQueryFindsWhatOPAsIndexLoses: with its index OPA 1.22 finds no network here.
func TestAQueryFindsWhatOPAsIndexLoses(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		".manifest": `{"roots": ["local"]}`,
		"banned.rego": `package local.banned

ids contains net.id if {
	some net in input.networks
	net in input.banned
}
`,
	})
	network := []any{map[string]any{"id": "a"}}
	var in any = map[string]any{"networks": network, "banned": network}
	found, err := bundles.Query(t.Context(), bundles.Options{Base: rego.Base()}, "count(data.local.banned.ids)", &in, dir)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if got := found[0].Expressions[0].Value; got == nil || got.(interface{ String() string }).String() != "1" {
		t.Errorf("found %v", got)
	}
}
