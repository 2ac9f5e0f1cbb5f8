package sources

import (
	"context"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
)

// JWTFilter is the filter of Envoy's that notes claims, and under that name.
const JWTFilter = "envoy.filters.http.jwt_authn"

// Issuer is one whose JWTs Envoy verifies.
type Issuer struct {
	// Issuer is the claim iss, to the letter (RFC 7519).
	Issuer string
	// Payload is the key under which Envoy notes the claims
	// (payload_in_metadata of the provider).
	Payload string
}

func (s *Sources) addIssuer(i *Issuer) error {
	switch other := s.issuers[i.Payload]; {
	case i.Issuer == "":
		return errors.New(".issuer: is missing")
	case i.Payload == "":
		return errors.New(".payload: is missing: the payload_in_metadata of Envoy's provider")
	case other != nil:
		return fmt.Errorf(".payload: %q is that of %s too: give each provider of Envoy's its own", i.Payload, other.Issuer)
	}
	s.issuers[i.Payload] = i
	return nil
}

// Vouched says whether the proxy verified a token's claims, and which token that
// is: nil where they are none that is taken.
func (s *Sources) Vouched(ctx context.Context, r authz.Request) (present bool, token *authz.Claimed, err error) {
	v, ok := r.(authz.Vouched)
	if !ok || len(s.issuers) == 0 {
		return false, nil, nil
	}
	noted, err := v.Metadata(JWTFilter)
	if err != nil {
		return true, nil, unavailable(err)
	}
	var issuer *Issuer
	var claims any
	for key, value := range noted {
		known := s.issuers[key]
		switch {
		case known == nil:
			continue
		case issuer != nil:
			return true, nil, &authz.Refusal{Reason: authz.ReasonCredentialMalformed, Detail: "two tokens were sent"}
		}
		issuer, claims = known, value
	}
	if issuer == nil {
		return false, nil, nil
	}
	given, ok := claims.(map[string]any)
	if !ok || given["iss"] != issuer.Issuer {
		s.metrics.token(authz.SourceJWT, "refused")
		return true, nil, nil
	}
	token, err = s.mapped(ctx, authz.SourceJWT, issuer.Issuer, given)
	return true, token, err
}
