package credential

import (
	"crypto/sha256"

	"github.com/patrol-authz/patrol/authz"
)

// block is SHA-256's block size, to which HMAC pads its key.
const block = sha256.BlockSize

// mac is HMAC-SHA256 (RFC 2104) of short messages with one key: what crypto/hmac
// gives, without an object for each request.
type mac struct{ inner, outer [block]byte }

func newMAC(key []byte) (m mac) {
	var padded [block]byte
	if len(key) > block {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(padded[:], key)
	for i, k := range padded {
		m.inner[i], m.outer[i] = k^0x36, k^0x5c
	}
	return m
}

// sum of a message of at most 32 bytes.
func (m *mac) sum(message []byte) authz.Digest {
	var in [block + sha256.Size]byte
	copy(in[:], m.inner[:])
	n := copy(in[block:], message)
	inner := sha256.Sum256(in[:block+n])
	copy(in[:], m.outer[:])
	copy(in[block:], inner[:])
	return sha256.Sum256(in[:])
}
