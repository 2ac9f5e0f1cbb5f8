package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
)

// TestACodeIsForOneAddressAtOneTime, of one server, and tells the address not.
func TestACodeIsForOneAddressAtOneTime(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	codes := credential.NewAddressCodes([]byte("a digest key of 32 bytes or more"))
	code := codes.Make("bob", "Bob@example.com", at)
	if codes.User(code) != "bob" || !codes.Matches(code, "bob", "bob@example.com", at) {
		t.Errorf("the code %s does not match", code)
	}
	for name, matches := range map[string]bool{
		"another user":    codes.Matches(code, "eve", "bob@example.com", at),
		"another address": codes.Matches(code, "bob", "eve@example.com", at),
		"another time":    codes.Matches(code, "bob", "bob@example.com", at.Add(time.Millisecond)),
		"another key":     credential.NewAddressCodes([]byte("another key")).Matches(code, "bob", "bob@example.com", at),
		"a part":          codes.Matches(code[:len(code)-1], "bob", "bob@example.com", at),
		"none":            codes.Matches("", "bob", "bob@example.com", at),
	} {
		if matches {
			t.Errorf("%s matches", name)
		}
	}
	for _, none := range []string{"", "x", code[:50], "!" + code, strings.Repeat("A", 300)} {
		if got := codes.User(none); got != "" {
			t.Errorf("%q asks %q", none, got)
		}
	}
}
