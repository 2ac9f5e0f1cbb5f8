package admin

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// IfMatch makes a change depend on the version that was read (RFC 9110,
// section 13.1.1): where another one is present the answer is 412, with it.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"40" doc:"The ETag of what was read; 412 where it has changed since"`
}

// IfNoneMatch makes a change one of what is not there yet (RFC 9110, section
// 13.1.2): where it is the answer is 412, with it.
type IfNoneMatch struct {
	IfNoneMatch string `header:"If-None-Match" enum:"*" doc:"Only where there is none yet; else 412"`
}

// versioned is an answer whose row has a version.
type versioned[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// organizationAnswer says also which settings nothing reads.
func (s *service) organizationAnswer(row *inventory.OrganizationRow) *versioned[inventory.OrganizationRow] {
	out := &versioned[inventory.OrganizationRow]{etag(row.Version), *row}
	if r := s.Policy.Ruleset(); r != nil {
		out.Body.UnreadSettings = inventory.UnreadSettings(row.Settings, r.ReadsSetting)
	}
	return out
}

func (s *service) tokenAnswer(row *inventory.TokenRow) *versioned[inventory.TokenRow] {
	return &versioned[inventory.TokenRow]{etag(row.Version), s.marked(row)}
}

// marked says also which permissions of a token grant nothing.
func (s *service) marked(row *inventory.TokenRow) inventory.TokenRow {
	out := *row
	out.UnknownPermissions = s.Policy.Ruleset().UnknownPermissions(row.Grants)
	return out
}

func memberAnswer(row *inventory.MemberRow) *versioned[inventory.MemberRow] {
	return &versioned[inventory.MemberRow]{etag(row.Version), *row}
}

const notOneETag = `must be one ETag as an answer gave it, for example "3"`

// changed carries out a change of something that has a version. present reads
// it, to be shown where the version does not match.
func changed[T any](ctx context.Context, s *service, match string, c inventory.Command, present func() (*T, error)) (inventory.Result, error) {
	if match != "" && match != "*" {
		version, err := strconv.ParseInt(strings.Trim(match, `"`), 10, 64)
		if err != nil || etag(version) != match {
			return inventory.Result{}, &inventory.Invalid{Field: "If-Match", Problem: notOneETag}
		}
		c = inventory.IfVersion{Command: c, Version: version}
	}
	r, err := s.do(ctx, c)
	var stale *inventory.Stale
	if !errors.As(err, &stale) {
		return r, err
	}
	p := problem(err)
	if row, err := present(); err == nil {
		p.Present = row
	}
	return r, p
}
