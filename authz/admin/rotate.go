package admin

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Rotation is the body that gives a token another secret.
type Rotation struct {
	OverlapSeconds int64  `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old secret is accepted beside the new one; by default not at all"`
	SHA256         string `json:"sha256,omitempty" pattern:"^[0-9a-fA-F]{64}$" doc:"The SHA-256 of the new secret, in hex, where it was made elsewhere; by default one is made"`
	Last4          string `json:"last4,omitempty" maxLength:"4" doc:"Of a secret that was made elsewhere"`
	Comment        string `json:"comment,omitempty" maxLength:"2000"`
}

// TokenChange is the body that changes a token; what is left out stays.
type TokenChange struct {
	DisplayName *string        `json:"display_name,omitempty" maxLength:"200"`
	Purpose     *string        `json:"purpose,omitempty" maxLength:"2000"`
	Contact     *string        `json:"contact,omitempty" maxLength:"254"`
	Grants      *[]authz.Grant `json:"grants,omitempty" doc:"All grants, as they are to be. More than was approved is asked for; until it is approved the token may what was approved and what it still has"`
	Global      *[]string      `json:"global,omitempty" maxItems:"20"`
	ExpiresAt   *time.Time     `json:"expires_at,omitempty" doc:"An approval ends when the token would have ended as it was reviewed"`
	NoExpiry    bool           `json:"no_expiry,omitempty" doc:"The token is never to expire"`
}

func (s *service) rotation() {
	register(s, "rotate-token", "POST", "/api/tokens/{id}/rotate", "Give a token another secret under the same id; what was decided on it stays", func(ctx context.Context, in *struct {
		TokenPath
		IfMatch
		Body *Rotation `required:"false"`
	},
	) (*body[IssuedToken], error) {
		if in.Body == nil {
			in.Body = &Rotation{}
		}
		return s.rotate(ctx, in.ID, in.IfMatch.IfMatch, in.Body)
	})
	register(s, "update-token", "PATCH", "/api/tokens/{id}", "Change what a token is; more permissions than were approved ask for an approval", func(ctx context.Context, in *struct {
		TokenPath
		IfMatch
		Body TokenChange
	},
	) (*versioned[inventory.TokenRow], error) {
		c := inventory.UpdateToken{
			Token: in.ID, DisplayName: in.Body.DisplayName, Purpose: in.Body.Purpose, Contact: in.Body.Contact, Grants: in.Body.Grants,
			Global: in.Body.Global, ExpiresAt: in.Body.ExpiresAt,
		}
		if in.Body.NoExpiry {
			if c.ExpiresAt != nil {
				return nil, &inventory.Invalid{Field: "no_expiry", Problem: "contradicts expires_at"}
			}
			c.ExpiresAt = &time.Time{}
		}
		if c.Global != nil {
			if err := checkGlobal("global", *c.Global); err != nil {
				return nil, err
			}
		}
		r, err := s.tokenChanged(ctx, in.ID, in.IfMatch.IfMatch, c)
		if err != nil {
			return nil, err
		}
		return s.tokenAnswer(r.Token), nil
	})
}

func (s *service) rotate(ctx context.Context, id, match string, in *Rotation) (*body[IssuedToken], error) {
	c := inventory.RotateToken{Token: id, Overlap: time.Duration(in.OverlapSeconds) * time.Second, Comment: in.Comment, Last4: in.Last4}
	shown := ""
	if in.SHA256 == "" {
		if in.Last4 != "" {
			return nil, &inventory.Invalid{Field: "last4", Problem: "is that of the secret which is made; it goes with sha256 only"}
		}
		secret := credential.Generate()
		c.Digest, c.Last4, shown = s.Digester.Secret(secret), secret.Last4(), secret.Reveal()
	} else {
		var sum [32]byte
		if n, err := hex.Decode(sum[:], []byte(in.SHA256)); err != nil || n != len(sum) {
			return nil, &inventory.Invalid{Field: "sha256", Problem: "must be 64 hex digits"}
		}
		c.Digest = s.Digester.SHA256(sum)
	}
	r, err := s.tokenChanged(ctx, id, match, c)
	if err != nil {
		return nil, err
	}
	return &body[IssuedToken]{IssuedToken{s.marked(r.Token), shown}}, nil
}
