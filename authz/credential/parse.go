package credential

import (
	"encoding/base64"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// MaxLength is the most characters that a secret may have; a longer one is
// refused before it is hashed.
const MaxLength = 4096

// Credential is what a request carried.
type Credential struct {
	Facts  authz.CredentialFacts
	Secret Secret // empty when missing
}

// Parser reads credentials from requests.
type Parser struct {
	// Headers may carry a credential: "authorization" is always one of them;
	// further ones hold a bare secret, for example "x-api-key".
	Headers []string
}

// Names returns the lower-case names of all headers that may carry one.
func (p Parser) Names() []string {
	names := []string{"authorization"}
	for _, h := range p.Headers {
		if h = strings.ToLower(h); h != "authorization" {
			names = append(names, h)
		}
	}
	return names
}

// Parse reads the credential of a request (RFC 6750, RFC 7617). It returns a
// [*authz.Refusal] when the credential is doubtful: two of them, a comma (Envoy
// joins repeated headers with one), spaces, characters outside RFC 6750's
// token68, an empty or over-long one. A scheme that is neither Bearer nor Basic
// counts as no credential.
func (p Parser) Parse(r authz.Request) (Credential, error) {
	found := Credential{Facts: authz.CredentialFacts{State: authz.CredentialMissing}}
	for i := -1; i < len(p.Headers); i++ {
		name := "authorization"
		if i >= 0 {
			if name = strings.ToLower(p.Headers[i]); name == "authorization" {
				continue
			}
		}
		value, entries := r.Header(name)
		if entries == 0 {
			continue
		}
		if entries > 1 {
			return Credential{}, malformed("the header " + name + " is there more than once")
		}
		scheme, secret, err := parseHeader(name, value)
		if err != nil {
			return Credential{}, err
		}
		if scheme == "" {
			continue
		}
		if found.Facts.State == authz.CredentialPresent {
			return Credential{}, malformed("two credentials were sent")
		}
		found = Credential{authz.CredentialFacts{State: authz.CredentialPresent, Scheme: scheme}, Secret{secret}}
	}
	return found, nil
}

func parseHeader(name, value string) (scheme, secret string, err error) {
	if name != "authorization" {
		if err := checkSecret(value); err != nil {
			return "", "", err
		}
		return authz.SchemeBearer, value, nil
	}
	word, rest, spaced := strings.Cut(value, " ")
	switch {
	case strings.EqualFold(word, authz.SchemeBearer):
		if !spaced || rest == "" {
			return "", "", malformed("nothing follows Bearer")
		}
		if err := checkSecret(rest); err != nil {
			return "", "", err
		}
		return authz.SchemeBearer, rest, nil
	case strings.EqualFold(word, authz.SchemeBasic):
		secret, err := parseBasic(rest)
		return authz.SchemeBasic, secret, err
	case strings.ContainsAny(value, ",\x00\r\n\t"):
		// A joined header could hide a Bearer behind another scheme.
		return "", "", malformed("the header authorization holds more than one credential")
	default:
		return "", "", nil
	}
}

// parseBasic takes the password of user:password; the user name is ignored, as
// git and LFS send anything there.
func parseBasic(encoded string) (string, error) {
	if encoded == "" {
		return "", malformed("nothing follows Basic")
	}
	if len(encoded) > 2*MaxLength {
		return "", malformed("it is too long")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		raw, err = base64.RawStdEncoding.Strict().DecodeString(encoded)
	}
	if err != nil {
		return "", malformed("Basic is not followed by base64")
	}
	_, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", malformed("Basic holds no colon")
	}
	return password, checkSecret(password)
}

func checkSecret(s string) error {
	switch {
	case s == "":
		return malformed("it is empty")
	case len(s) > MaxLength:
		return malformed("it is too long")
	case strings.Contains(s, ","):
		return malformed("it holds a comma: were two sent?")
	case !isToken68(s):
		return malformed("it holds characters that no token has")
	}
	return nil
}

// isToken68 checks RFC 6750's b64token: 1*( ALPHA / DIGIT / "-" / "." / "_" /
// "~" / "+" / "/" ) *"=".
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

func malformed(detail string) error {
	return &authz.Refusal{Reason: authz.ReasonCredentialMalformed, Detail: detail}
}
