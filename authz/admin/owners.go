package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// What owners of tokens see of a review: what they were asked, said and told.
// What reviewers say among themselves, who has voted, whose turn it is and what
// the rules recommend is not for them.

// owns says whether the caller comes with a token of an owner of that name, or
// speaks for that owner, a service account.
func owns(ctx context.Context, owner string) bool {
	c := callerOf(ctx)
	if c == nil || c.trusted || c.token == nil || c.token.Owner == nil {
		return false
	}
	if inventory.Fold(owner) == c.token.Owner.Name {
		return true
	}
	q, ok := ctx.Value(questionKey{}).(*question)
	return ok && q.Operation.Scope == scopeOwn && q.Target != nil && q.Target.Owner == owner && slices.Contains(q.Target.Responsible, c.token.Owner.Name)
}

// ownersRequest is a request as the token's owner sees it.
func ownersRequest(q *inventory.ApprovalRow) *inventory.ApprovalRow {
	if q == nil {
		return nil
	}
	out := *q
	out.Votes, out.Recommendation, out.Assignee, out.Escalated, out.RemindedAt, out.Notes = nil, nil, "", false, nil, nil
	for _, n := range q.Notes {
		if slices.Contains([]string{"question", "answer", "purpose"}, n.Kind) || n.By == q.Owner {
			out.Notes = append(out.Notes, n)
		}
	}
	return &out
}

// ownersToken is a token as its owner sees it.
func ownersToken(t *inventory.TokenRow) *inventory.TokenRow {
	out := *t
	if t.Authorization != nil {
		a := *t.Authorization
		a.Request = ownersRequest(a.Request)
		out.Authorization = &a
	}
	return &out
}

// ownersConflict takes what is not the owner's out of a conflict.
func ownersConflict(ctx context.Context, err error) error {
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) && conflict.Token != nil && owns(ctx, conflict.Token.Owner) {
		told := *conflict
		told.Token = ownersToken(conflict.Token)
		return &told
	}
	return err
}
