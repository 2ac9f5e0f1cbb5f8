// Package redact takes out of texts what must not get into a log, a page, a mail or
// onto a disk: what looks like a credential, and what a request sent as its own.
package redact
