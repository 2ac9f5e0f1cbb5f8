package telemetry

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// secrets are texts that look like credentials, should one get near a log.
var secrets = regexp.MustCompile(`(?i)(?:\b|%[0-9a-f]{2})(?:ptl(?:_|%5f)|hf(?:_|%5f)|api(?:_|%5f)org(?:_|%5f)|ghp(?:_|%5f)|glpat(?:-|%2d)|npm(?:_|%5f))[A-Za-z0-9_-]{12,}` +
	`|ptl(?:_|%5f)[A-Za-z0-9]{36,}|\b(?:bearer|basic) +[A-Za-z0-9._~+/=-]{8,}`)

const redacted = "[redacted]"

// Redact replaces what looks like a credential in a text: as it is, with its
// underscore escaped as URLs have it, or in base64, as Basic has it.
func Redact(text string) string {
	if mayHoldSecret(text) {
		text = secrets.ReplaceAllString(text, redacted)
	}
	if mayHoldBase64(text) {
		text = redactBase64(text)
	}
	return text
}

// beginnings are those of all that the expression finds, in lower case.
var beginnings = []string{
	"ptl_", "hf_", "api_org_", "ghp_", "glpat-", "npm_", "bearer ", "basic ",
	"ptl%5f", "hf%5f", "api%5forg", "api_org%5f", "ghp%5f", "glpat%2d", "npm%5f",
}

// begins says of a letter whether one of them begins with it.
var begins = func() (is [256]bool) {
	for _, b := range beginnings {
		is[b[0]] = true
	}
	return is
}()

// mayHoldSecret looks for a beginning: most texts have none, and need no
// expression run over them. Letters beyond ASCII, some of which are others in
// upper case, are the expression's to judge.
func mayHoldSecret(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return true
		}
		if !begins[c|0x20] {
			continue
		}
		for _, b := range beginnings {
			if c|0x20 == b[0] && len(text)-i >= len(b) && strings.EqualFold(text[i:i+len(b)], b) {
				return true
			}
		}
	}
	return false
}
