// Package credential parses what a client sent to prove who it is, and turns
// it into the digest under which the inventory knows a token. A [Secret]
// prints as redacted wherever it goes; it is never stored and never logged.
package credential
