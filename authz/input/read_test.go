package input_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// Facts are read again as they were written, also those whose times have
// fractions of a second that are not written.
func TestWrittenFactsAreReadAgain(t *testing.T) {
	for name, f := range factsOfAllKinds() {
		for _, fraction := range []time.Duration{0, 300 * time.Millisecond, 999 * time.Millisecond} {
			if f.Token != nil {
				token := *f.Token
				token.CreatedAt = token.CreatedAt.Add(fraction)
				if !token.ExpiresAt.IsZero() {
					token.ExpiresAt = token.ExpiresAt.Add(fraction)
				}
				f.Token = &token
			}
			written, err := input.AppendFacts(nil, f, nil)
			if err != nil || f.Now.IsZero() {
				continue // they cannot be shown, or are none
			}
			read, err := input.ReadFacts(written)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, written)
				continue
			}
			again, err := input.AppendFacts(nil, read, nil)
			if err != nil || string(again) == "" || differ(t, written, again) {
				t.Errorf("%s: %v\n%s\nread again\n%s", name, err, written, again)
			}
		}
	}
}

func differ(t *testing.T, a, b []byte) bool {
	x, _ := json.Marshal(decoded(t, a))
	y, _ := json.Marshal(decoded(t, b))
	return string(x) != string(y)
}

// The second in which something ends is told by what was written of it.
func TestWhatEndsWithinTheSecondIsReadAsItWas(t *testing.T) {
	f := inputtest.Facts()
	f.Token.ExpiresAt = f.Now.Add(500 * time.Millisecond)
	f.Authorization.ExpiresAt = f.Now.Add(500 * time.Millisecond)
	written, err := input.AppendFacts(nil, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := input.ReadFacts(written)
	if err != nil {
		t.Fatal(err)
	}
	if !read.Now.Before(read.Token.ExpiresAt) || !read.Now.Before(read.Authorization.ExpiresAt) {
		t.Errorf("not ended yet, and read as ended: %v %v", read.Token.ExpiresAt, read.Authorization.ExpiresAt)
	}
}

// A whole document is read but for the request's own part.
func TestFactsOfAWholeDocument(t *testing.T) {
	doc, err := input.Document(inputtest.Facts(), "x-api-key")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	f, err := input.ReadFacts(text)
	if err != nil || f.Token.DisplayName != "ci" || f.Request != nil {
		t.Errorf("%+v %v", f, err)
	}
}

func TestFactsThatAreNotWholeAreRefused(t *testing.T) {
	written, err := input.AppendFacts(nil, inputtest.Facts(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"no JSON":                    {`{"patrol"`, `{patrol`, "invalid character"},
		"no object":                  {string(written), `[]`, "no JSON object"},
		"more behind it":             {string(written), string(written) + "{}", "something follows"},
		"another version":            {`"version":1`, `"version":2`, "patrol.version is 2, not 1"},
		"no version":                 {`"patrol":{"version":1},`, ``, "patrol.version is 0"},
		"no time":                    {`"now":"2026-11-24T12:00:00Z",`, ``, "now is missing"},
		"an unknown part":            {`"patrol"`, `"tenant":1,"patrol"`, `unknown field "tenant"`},
		"an end without its date":    {`"expires_at":"2026-12-04T12:00:00Z",`, ``, "token.remaining_seconds"},
		"a date that has come":       {`"expires_at":"2026-12-04T12:00:00Z"`, `"expires_at":"2026-11-04T12:00:00Z"`, "token.expired"},
		"no word on the end":         {`"expired":false,"age_seconds"`, `"age_seconds"`, "token.expired"},
		"no word on suspension":      {`"suspended":false,`, ``, "authorization.suspended"},
		"no word on disabling":       {`,"disabled":false`, ``, "credential.disabled"},
		"a grant's part":             {`"effective":[{"entity"`, `"effective":[{"entities":1,"entity"`, `unknown field "entities"`},
		"a setting that is not sent": {`"four_eyes":false,`, ``, "organization.settings.four_eyes"},
		"a null":                     {`"membership":{`, `"token":null,"membership":{`, "token"},
	} {
		text := strings.Replace(string(written), c.from, c.to, 1)
		if text == string(written) {
			t.Fatalf("%s: nothing was changed in %s", name, written)
		}
		if _, err := input.ReadFacts([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
