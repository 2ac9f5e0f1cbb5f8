package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Secret is a raw token value. Every way of printing it gives "[redacted]";
// only [Secret.Reveal] gives the value.
type Secret struct{ value string }

const redacted = "[redacted]"

// NewSecret wraps a raw value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal gives the raw value, to be shown once to whom it was issued.
func (s Secret) Reveal() string { return s.value }

// Last4 gives the last four characters, which lists show; of a value too short
// to keep the rest secret, nothing.
func (s Secret) Last4() string {
	if len(s.value) < 16 {
		return ""
	}
	return s.value[len(s.value)-4:]
}

// String, GoString, Format, MarshalJSON, MarshalText and LogValue redact.
func (s Secret) String() string { return redacted }

// GoString redacts in %#v.
func (s Secret) GoString() string { return redacted }

// Format redacts under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON redacts.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText redacts.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts in log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Digester turns secrets into the keyed digests under which tokens are stored:
// without the key, a stolen database cannot be tested against known secrets.
type Digester struct{ mac mac }

// NewDigester returns a digester for a key of at least 32 bytes.
func NewDigester(key []byte) (*Digester, error) {
	if len(key) < 32 {
		return nil, fmt.Errorf("the digest key has %d bytes; it needs at least 32", len(key))
	}
	return &Digester{newMAC(key)}, nil
}

// Secret gives HMAC-SHA256(key, SHA-256(secret)).
func (d *Digester) Secret(s Secret) authz.Digest {
	var short [256]byte // most secrets fit, and take no other memory
	return d.SHA256(sha256.Sum256(append(short[:0], s.value...)))
}

// SHA256 gives the keyed digest of a secret of which only the SHA-256 is
// known, as imports bring it.
func (d *Digester) SHA256(sum [32]byte) authz.Digest {
	return d.mac.sum(sum[:])
}

// Prefix of issued secrets, so that people and scanners know them at sight.
const Prefix = "ptl_"

const (
	bodyLength     = 36
	checksumLength = 6
	base62         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Generate makes a new secret: "ptl_", 36 random characters (214 bits) and a
// checksum of 6, so that a scanner can tell a secret from a look-alike.
func Generate() Secret {
	var b strings.Builder
	b.WriteString(Prefix)
	for b.Len() < len(Prefix)+bodyLength {
		var r [64]byte
		_, _ = rand.Read(r[:]) // never fails, see crypto/rand
		for _, c := range r {
			// 248 is the greatest multiple of 62 in a byte: no bias.
			if c < 248 && b.Len() < len(Prefix)+bodyLength {
				b.WriteByte(base62[c%62])
			}
		}
	}
	b.WriteString(checksum(b.String()))
	return Secret{b.String()}
}

// Valid says whether a text is an issued secret with a right checksum.
func Valid(text string) bool {
	if len(text) != len(Prefix)+bodyLength+checksumLength || !strings.HasPrefix(text, Prefix) {
		return false
	}
	at := len(text) - checksumLength
	return text[at:] == checksum(text[:at])
}

// checksum is the CRC-32 (IEEE) of a text in base 62.
func checksum(text string) string {
	n := crc32.ChecksumIEEE([]byte(text))
	var out [checksumLength]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return string(out[:])
}

// Check gives a value by which a database recognizes its key, and from which
// nothing about the key can be told.
func (d *Digester) Check() string {
	sum := d.mac.sum([]byte("patrol: digest key check"))
	return hex.EncodeToString(sum[:16])
}

// Identity gives the digest under which a token is known by who it is instead
// of by its secret. No secret, and no digest that is imported, gives the same:
// the key is part of what is hashed.
func (d *Digester) Identity(source string, parts ...string) authz.Digest {
	own := d.mac.sum([]byte("patrol: identity"))
	h := sha256.New()
	h.Write(own[:])
	for _, p := range append([]string{source}, parts...) {
		var length [8]byte // so that parts can't be joined otherwise
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write([]byte(p))
	}
	return d.mac.sum(h.Sum(nil))
}
