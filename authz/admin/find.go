package admin

import (
	"context"
	"encoding/hex"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Find is the body that asks which token a secret is. The secret itself is never
// sent: who has it hashes it.
type Find struct {
	SHA256 string `json:"sha256" pattern:"^[0-9a-fA-F]{64}$" doc:"The SHA-256 of the secret, in hex"`
}

// FoundToken is a token that was found by a secret.
type FoundToken struct {
	inventory.TokenRow
	Former bool `json:"former,omitempty" doc:"The secret is one that was rotated away"`
}

func (s *service) find() {
	register(s, "find-token", "POST", "/api/tokens/find", "Say which token a secret is, by its SHA-256", func(ctx context.Context, in *struct{ Body Find }) (*body[FoundToken], error) {
		var sum [32]byte
		if n, err := hex.Decode(sum[:], []byte(in.Body.SHA256)); err != nil || n != len(sum) {
			return nil, &inventory.Invalid{Field: "sha256", Problem: "is no SHA-256 in hex"}
		}
		row, former, err := s.Queries.FindToken(ctx, s.Digester.SHA256(sum))
		if err != nil {
			return nil, err
		}
		return &body[FoundToken]{FoundToken{*row, former}}, nil
	})
}
