package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Entry is an entry of the audit log, as it is exported: one JSON object a line.
type Entry struct {
	Seq    int64     `json:"seq"`  // 1, 2, 3 …
	Time   time.Time `json:"time"` // UTC, whole milliseconds
	Actor  Actor     `json:"actor"`
	Action string    `json:"action"` // a command's, for example token.revoke
	// OrganizationID and TokenID say what it was about; empty where nothing.
	OrganizationID string          `json:"organization_id,omitempty"`
	TokenID        string          `json:"token_id,omitempty"`
	Details        json.RawMessage `json:"details,omitempty"`
	// Hash covers the entry before and this one, in hex.
	Hash string `json:"hash"`
}

// Actor is who did it.
type Actor struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Sum is the hash of an entry that follows one with the hash before (empty for
// the first): SHA-256 over the hash before, a line feed, and the JSON array of
// seq, time in milliseconds, the actor's kind and name, action, organization
// id, token id, and the text of the details (without spaces; < > & and control
// characters as \u003c and the like, as encoding/json writes them).
func (e *Entry) Sum(before string) string {
	details := string(e.Details)
	if details == "" {
		details = "null"
	}
	content, err := json.Marshal([]any{e.Seq, e.Time.UnixMilli(), e.Actor.Kind, e.Actor.Name, e.Action, e.OrganizationID, e.TokenID, details})
	if err != nil {
		return "" // numbers and texts have no errors; "" is no hash
	}
	sum := sha256.New()
	sum.Write([]byte(before + "\n"))
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil))
}

// Read hands on the entries of an export: a JSON object a line.
func Read(r io.Reader, f func(Entry) error) error {
	lines := json.NewDecoder(r)
	for n := 1; ; n++ {
		var e Entry
		switch err := lines.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("entry %d of the export: %w", n, err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// ReadHeads reads signed heads: a JSON object a line.
func ReadHeads(r io.Reader) (heads []Head, err error) {
	lines := json.NewDecoder(r)
	for {
		var h Head
		switch err := lines.Decode(&h); {
		case errors.Is(err, io.EOF):
			return heads, nil
		case err != nil:
			return nil, fmt.Errorf("head %d: %w", len(heads)+1, err)
		}
		heads = append(heads, h)
	}
}
