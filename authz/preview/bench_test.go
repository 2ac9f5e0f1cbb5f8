package preview_test

import (
	"fmt"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/usage"
)

// BenchmarkPreview previews the approval policy over 50,000 tokens, two thirds of
// them fine-grained, half of them used of late.
func BenchmarkPreview(b *testing.B) {
	const tokens, owners = 50_000, 500
	l := newLab(b)
	for i := range owners {
		l.do(inventory.AddMember{Organization: "acme", User: inventorytest.Owner(i), Role: "write"})
	}
	inventorytest.Estate(tokens, owners, func(i int) []authz.Grant {
		return []authz.Grant{inventorytest.On("acme", "repo.content.read", "repo.write"), {Entity: authz.Entity{Type: "model", Name: fmt.Sprintf("acme/m%d", i%50)}, Permissions: []string{"repo.write"}}}
	}, func(c inventory.ImportTokens) { l.do(c) })
	var batch usage.Batch
	for after := ""; ; {
		list, err := l.store.Reached(b.Context(), l.acme, "", after, l.now, 5000)
		l.check(err)
		if len(list) == 0 {
			break
		}
		for i, r := range list {
			if i%2 == 0 {
				batch.Uses = append(batch.Uses, usage.Use{Token: r.Token, Organization: l.acme, Allowed: l.now})
				for _, p := range []string{"repo.content.read", "repo.write"} {
					batch.Counts = append(batch.Counts, usage.Count{Key: usage.Key{
						Day: usage.DayOf(l.now), Token: r.Token, Organization: l.acme, ResourceType: "model", Resource: "acme/m1", Permission: p, Reason: "allowed", Allowed: true,
					}, Count: 3, First: l.now, Last: l.now})
				}
			}
		}
		after = list[len(list)-1].Token
	}
	l.write(&batch)
	b.ResetTimer()
	for i := range b.N {
		// Another span each time: nothing is kept.
		r, err := l.Preview(b.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: approval}, Days: i%90 + 1}, preview.Query{})
		l.check(err)
		if r.Counts.Breaks != tokens {
			b.Fatalf("%+v", r.Counts)
		}
	}
}
