package telemetry

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// A credential that people put where none belongs is replaced in each form, and
// what only looks like base64 stays.
func TestCredentialsAreReplacedInEveryForm(t *testing.T) {
	for _, secret := range []string{"ptl_0aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kP9lO8mN7nM6", "hf_abcdefghijklmnopqrstuvwxyz", "glpat-abcdefghijklmnopqrst", "api_org_abcdefghijklmnop"} {
		forms := []string{secret, strings.ReplaceAll(strings.ReplaceAll(secret, "_", "%5F"), "-", "%2d"), url.QueryEscape("git:" + secret)}
		for _, user := range []string{"", "g:", "gi:", "git:", "é?:"} {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				forms = append(forms, e.EncodeToString([]byte(user+secret)))
			}
		}
		for _, form := range forms {
			got := Redact("/api/models/acme/" + form + "/x%3A" + form + " and more")
			if !strings.Contains(got, redacted) || strings.Contains(got, form) || strings.Contains(got, form[len(form)-8:]) && !strings.Contains(form, "=") {
				t.Errorf("%s became %s", form, got)
			}
			if !strings.HasPrefix(got, "/api/models/acme/") {
				t.Errorf("the path became %s", got)
			}
		}
	}
	for _, text := range []string{
		"/lfs/objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "01a21090-d287-7283-ae19-44880dccbef0", "/api/models/acme/a-model_with-a_long-name-that-tells-nothing",
		base64.StdEncoding.EncodeToString([]byte("a text of which nobody need be afraid, ptl_ short")), "aGZfB0bFwdGxfcHRsX", "cHRsX", strings.Repeat("cHRsXw==", 9),
	} {
		if got := Redact(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}
