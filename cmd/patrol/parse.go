package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// grantsOf reads grants written as TYPE:NAME=PERMISSION,….
func grantsOf(texts []string) ([]authz.Grant, error) {
	var out []authz.Grant
	for _, text := range texts {
		entity, list, ok := strings.Cut(text, "=")
		kind, name, ok2 := strings.Cut(entity, ":")
		if !ok || !ok2 || kind == "" || name == "" || list == "" {
			return nil, usage{fmt.Errorf("--grant %q: write TYPE:NAME=PERMISSION,…, for example organization:acme=repo.content.read,repo.write", text)}
		}
		out = append(out, authz.Grant{Entity: authz.Entity{Type: kind, Name: name}, Permissions: strings.Split(list, ",")})
	}
	return out, nil
}

// endOf reads a date (2026-12-31), a time (RFC 3339) or a span from now (90d,
// 12h). Empty gives nil.
func endOf(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36500 {
			t := time.Now().UTC().Add(time.Duration(n) * 24 * time.Hour).Truncate(time.Second)
			return &t, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		t := time.Now().UTC().Add(d).Truncate(time.Second)
		return &t, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return &t, nil
		}
	}
	return nil, usage{fmt.Errorf("%s %q: write a span (90d, 12h), a date (2026-12-31) or a time (2026-12-31T12:00:00Z)", flag, text)}
}

// secretFromStdin reads a secret: never from an argument, where process lists
// and shell histories show it.
func secretFromStdin() (string, error) {
	b, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read the token from standard input: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", usage{fmt.Errorf("standard input holds no token")}
	}
	return s, nil
}

// pastOf reads a time that lies behind: how long ago it was (7d, 12h), a date or a
// time; zero where the text is empty.
func pastOf(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if span, err := spanOf(flag, text); err == nil {
		return time.Now().UTC().Add(-span), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usagef("%s %q: write a span (7d, 12h: so long ago), a date (2026-12-31) or a time (2026-12-31T12:00:00Z)", flag, text)
}
