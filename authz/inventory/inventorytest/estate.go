package inventorytest

import (
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Owner is the name of one of many owners.
func Owner(i int) string { return fmt.Sprintf("user-%d", i) }

// Estate is what imports many tokens, in parts: one in three has the kind write,
// the others are fine-grained, with the grants given. Owners take turns.
func Estate(tokens, owners int, grants func(i int) []authz.Grant, do func(inventory.ImportTokens)) {
	const part = 5000
	for first := 0; first < tokens; first += part {
		var c inventory.ImportTokens
		for i := first; i < min(first+part, tokens); i++ {
			t := inventory.ImportToken{Digest: Digest(i), Owner: Owner(i % owners), DisplayName: fmt.Sprintf("token-%05d", i), Kind: authz.KindWrite}
			if i%3 > 0 {
				t.Kind, t.Grants = authz.KindFineGrained, grants(i)
			}
			c.Tokens = append(c.Tokens, t)
		}
		do(c)
	}
}
