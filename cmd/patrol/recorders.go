package main

import (
	"fmt"
	"path/filepath"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/authz/telemetry"
)

// openRecords opens the store of refusals.
func (a *App) openRecords() (err error) {
	a.Records, err = record.Open(record.Options{
		Dir: filepath.Join(a.Config.DataDir, "refusals"), CredentialHeaders: a.Config.Policy.CredentialHeaders,
		Facts: factsShown, Redact: telemetry.Redact, Clock: a.Clock, Log: a.Log,
		Sentence: func(o *authz.Outcome) string { return answer.Sentence(o, a.answerOptions()) },
	})
	if err == nil {
		a.Metrics.Registry.MustRegister(a.Records)
	}
	return err
}

// factsBuilder builds the part of the input that is not the request's own.
var factsBuilder = input.New(input.Options{Fields: input.Paths(
	"patrol", "client", "credential", "token", "organization", "membership", "authorization", "route", "now",
)})

// factsShown shows facts as the policy reads them, as plain JSON values.
func factsShown(f *authz.Facts) (any, error) {
	v, err := factsBuilder.Value(f)
	if err != nil {
		return nil, fmt.Errorf("show the facts: %w", err)
	}
	return ast.JSON(v)
}
