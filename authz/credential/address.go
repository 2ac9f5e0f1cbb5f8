package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// AddressCodes makes the codes of links that confirm addresses. A code proves
// that whoever has it was sent it: it holds the user and when it was asked for,
// and the MAC of these and of the address, by a key that is derived from the
// digest key. It is stored nowhere.
type AddressCodes struct{ key []byte }

// NewAddressCodes derives the key.
func NewAddressCodes(digestKey []byte) AddressCodes {
	m := hmac.New(sha256.New, digestKey)
	m.Write([]byte("patrol: links that confirm an address"))
	return AddressCodes{m.Sum(nil)}
}

func (c AddressCodes) sum(user, email string, asked time.Time) []byte {
	m := hmac.New(sha256.New, c.key)
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(asked.UnixMilli())) //nolint:gosec // after 1970
	m.Write(at[:])
	m.Write([]byte(user + "\x00" + strings.ToLower(email)))
	return m.Sum(at[:])
}

// Make is the code that asks a user, at a time, about an address.
func (c AddressCodes) Make(user, email string, asked time.Time) string {
	return base64.RawURLEncoding.EncodeToString(append(c.sum(user, email, asked), user...))
}

// User says whom a code asks, before it is known whether it is one of ours; ""
// where it can be none.
func (c AddressCodes) User(code string) string {
	b, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil || len(b) <= 8+sha256.Size || len(b) > 8+sha256.Size+96 {
		return ""
	}
	return string(b[8+sha256.Size:])
}

// Matches says whether a code is the one that Make gives.
func (c AddressCodes) Matches(code, user, email string, asked time.Time) bool {
	return hmac.Equal([]byte(code), []byte(c.Make(user, email, asked)))
}
