package main

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/bundles"
)

// reviewEntry is where a bundle says what to do about an approval request.
const reviewEntry = "patrol/review/recommendation"

// reviewing are the active bundle's policies with its review rules.
type reviewing struct {
	*bundles.Manager
	links bool
}

// MailsLinks implements [inventory.Mailer].
func (r reviewing) MailsLinks() bool { return r.links }

// Recommend implements [inventory.Recommender].
func (r reviewing) Recommend(f inventory.ReviewFacts) (*inventory.Recommendation, error) {
	rules := r.Ruleset()
	if rules == nil || rules.Asker == nil {
		return nil, fmt.Errorf("no bundle is active")
	}
	out := &inventory.Recommendation{}
	if err := rules.Asker.Ask(context.Background(), reviewEntry, f.Document(), out); err != nil {
		return nil, err
	}
	out.Revision = rules.Revision
	return out, out.Check()
}
