package credential

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/patrol-authz/patrol/authz"
)

func TestTheMACIsThatOfCryptoHMAC(t *testing.T) {
	for length := 32; length < 200; length++ {
		key := bytes.Repeat([]byte{byte(length)}, length)
		m := newMAC(key)
		for n := range sha256.Size + 1 {
			message := bytes.Repeat([]byte{byte(n + 1)}, n)
			h := hmac.New(sha256.New, key)
			h.Write(message)
			if got := m.sum(message); got != authz.Digest(h.Sum(nil)) {
				t.Fatalf("a key of %d bytes, a message of %d: %x", length, n, got)
			}
		}
	}
}

func TestADigestTakesNoMemory(t *testing.T) {
	d, err := NewDigester(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := Generate()
	if n := testing.AllocsPerRun(100, func() { d.Secret(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
