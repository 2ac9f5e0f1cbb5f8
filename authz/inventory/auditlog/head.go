package auditlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Head is a signed word on how far the log went at a time. Kept where nobody
// can reach who writes to the database, it shows later what was cut off or
// written anew.
type Head struct {
	Seq       int64     `json:"seq"`
	Hash      string    `json:"hash"` // of the entry with that seq
	Time      time.Time `json:"time"` // of the signature; UTC, whole milliseconds
	PublicKey string    `json:"public_key"`
	Signature string    `json:"signature"` // Ed25519 (RFC 8032), base64 as the key
}

// Sign signs how far the log went.
func Sign(key ed25519.PrivateKey, seq int64, hash string, at time.Time) Head {
	h := Head{Seq: seq, Hash: hash, Time: at.UTC().Truncate(time.Millisecond), PublicKey: PublicKey(key)}
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, h.message()))
	return h
}

// PublicKey is a key's public part, as heads name it.
func PublicKey(key ed25519.PrivateKey) string {
	public, _ := key.Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(public)
}

func (h *Head) message() []byte {
	content, err := json.Marshal([]any{h.Seq, h.Hash, h.Time.UnixMilli()})
	if err != nil {
		return nil // numbers and texts have no errors
	}
	return append([]byte("patrol audit head 1\n"), content...)
}

// Check says whether a head was signed by the key that it names.
func (h *Head) Check() error {
	public, err := base64.StdEncoding.DecodeString(h.PublicKey)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return errors.New("its key is none")
	}
	signature, err := base64.StdEncoding.DecodeString(h.Signature)
	if err != nil || !ed25519.Verify(public, h.message(), signature) {
		return fmt.Errorf("it was not signed by %s", h.PublicKey)
	}
	return nil
}

// State is how far a log goes by its store's own word, and what was signed.
type State struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
	// PublicKey is the server's own.
	PublicKey string `json:"public_key,omitempty"`
	Heads     []Head `json:"heads,omitempty"`
}
