package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// populate carries the commands of a file out.
func (w *world) populate(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Steps []json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	w.carryOut(t, file, doc.Steps)
}

// carryOut carries out the steps that make an inventory.
func (w *world) carryOut(t testing.TB, file string, steps []json.RawMessage) {
	t.Helper()
	for i, raw := range steps {
		if err := w.step(t, raw); err != nil {
			t.Fatalf("%s: step %d: %v", file, i, err)
		}
	}
}

// step carries one command out. Tokens are named by what their secret is called,
// ends are spans from the start.
func (w *world) step(t testing.TB, raw json.RawMessage) error {
	t.Helper()
	var s struct{ Do, Secret, Token, EnforceIn, ExpiresIn, Until string }
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	var end time.Time
	for _, text := range []string{s.EnforceIn, s.ExpiresIn, s.Until} {
		if text != "" {
			span, err := time.ParseDuration(text)
			if err != nil {
				return err
			}
			end = w.Clock().Add(span)
		}
	}
	id := w.ids[s.Token]
	if s.Token != "" && id == "" {
		return fmt.Errorf("there is no token %s", s.Token)
	}
	switch s.Do {
	case "organization.create":
		return carry(t, w, raw, func(*inventory.CreateOrganization) {})
	case "organization.policy":
		return carry(t, w, raw, func(c *inventory.SetPolicy) { c.EnforceAt = end })
	case "organization.rename":
		return carry(t, w, raw, func(*inventory.RenameOrganization) {})
	case "organization.delete":
		return carry(t, w, raw, func(*inventory.DeleteOrganization) {})
	case "member.add":
		return carry(t, w, raw, func(*inventory.AddMember) {})
	case "member.remove":
		return carry(t, w, raw, func(*inventory.RemoveMember) {})
	case "token.issue":
		return carry(t, w, raw, func(c *inventory.IssueToken) {
			secret := credential.Generate()
			c.Digest, c.Last4, c.ExpiresAt = w.digester.Secret(secret), secret.Last4(), end
			w.secrets[s.Secret], w.issued[s.Secret] = secret, *c
		}, func(r inventory.Result) { w.ids[s.Secret] = r.Token.ID })
	case "token.import":
		var one inventory.ImportToken
		if err := fill(raw, &one); err != nil {
			return err
		}
		secret := credential.Generate()
		one.Digest, one.Last4, one.ExpiresAt = w.digester.Secret(secret), secret.Last4(), end
		w.secrets[s.Secret] = secret
		w.do(t, inventory.ImportTokens{Tokens: []inventory.ImportToken{one}})
	case "token.update":
		return carry(t, w, raw, func(c *inventory.UpdateToken) { c.Token = id })
	case "approval.approve":
		return carry(t, w, raw, func(c *inventory.Approve) { c.Token, c.Until = id, end })
	case "approval.deny":
		return carry(t, w, raw, func(c *inventory.Deny) { c.Token = id })
	case "token.revoke":
		return carry(t, w, raw, func(c *inventory.RevokeToken) { c.Token = id })
	case "token.suspend":
		return carry(t, w, raw, func(c *inventory.SuspendToken) { c.Token = id })
	case "token.resume":
		return carry(t, w, raw, func(c *inventory.ResumeToken) { c.Token = id })
	case "token.disable":
		return carry(t, w, raw, func(c *inventory.DisableToken) { c.Token = id })
	default:
		return fmt.Errorf("there is no step %q", s.Do)
	}
	return nil
}

// carry fills a command from a step and carries it out.
func carry[C inventory.Command](t testing.TB, w *world, raw json.RawMessage, adjust func(*C), then ...func(inventory.Result)) error {
	t.Helper()
	var c C
	if err := fill(raw, &c); err != nil {
		return err
	}
	adjust(&c)
	r := w.do(t, c)
	for _, f := range then {
		f(r)
	}
	return nil
}

// fill fills what of a step is a command's own.
func fill(raw json.RawMessage, into any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for _, k := range []string{"do", "secret", "Token", "EnforceIn", "ExpiresIn", "Until"} {
		delete(members, k)
	}
	b, err := json.Marshal(members)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
