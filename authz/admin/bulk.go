package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Bulk is the body of an action on several tokens. Each is a change of its own:
// one that is refused keeps none of the others back.
type Bulk struct {
	IDs     []string `json:"ids" minItems:"1" maxItems:"100" doc:"Ids of tokens"`
	Comment string   `json:"comment,omitempty" maxLength:"2000"`
}

// Reviewed is a token as it was reviewed.
type Reviewed struct {
	ID      string `json:"id" minLength:"1" maxLength:"64"`
	Version int64  `json:"version" minimum:"1" doc:"The token's version as it was reviewed"`
	Request string `json:"request,omitempty" maxLength:"64" doc:"The id of the request that was reviewed; 409 where it is open no more"`
}

// BulkApproval is the body that approves several tokens, each with all that it
// asks for.
type BulkApproval struct {
	Tokens  []Reviewed `json:"tokens" minItems:"1" maxItems:"100"`
	Until   *time.Time `json:"until,omitempty"`
	Comment string     `json:"comment,omitempty" maxLength:"2000"`
}

// BulkDenial is the body that denies several tokens.
type BulkDenial struct {
	Tokens []Reviewed `json:"tokens" minItems:"1" maxItems:"100"`
	Reason string     `json:"reason" minLength:"1" maxLength:"2000" doc:"What the owners are told"`
}

// BulkResults says what came of each, in the order of the request.
type BulkResults struct {
	Succeeded int          `json:"succeeded"`
	Failed    int          `json:"failed"`
	Results   []BulkResult `json:"results"`
}

// BulkResult is what came of one token.
type BulkResult struct {
	ID     string `json:"id"`
	Status int    `json:"status" doc:"What the action on this token alone would have answered"`
	// Authorization is what holds then.
	Authorization *inventory.AuthorizationRow `json:"authorization,omitempty"`
	Problem       *Problem                    `json:"problem,omitempty"`
}

func (s *service) bulk() {
	s.bulkAction("revoke", "End the access of several tokens to the organization for ever", func(org, id, comment string) inventory.Command {
		return inventory.RevokeToken{Organization: org, Token: id, Comment: comment}
	})
	s.bulkAction("suspend", "Stop the access of several tokens until they are resumed", func(org, id, comment string) inventory.Command {
		return inventory.SuspendToken{Organization: org, Token: id, Comment: comment}
	})
	s.bulkAction("resume", "Let several suspended tokens go on", func(org, id, comment string) inventory.Command {
		return inventory.ResumeToken{Organization: org, Token: id, Comment: comment}
	})
	s.bulkEverywhere("disable", "Stop several tokens everywhere", func(id, comment string) inventory.Command { return inventory.DisableToken{Token: id, Comment: comment} })
	s.bulkEverywhere("enable", "Let several disabled tokens go on", func(id, comment string) inventory.Command { return inventory.EnableToken{Token: id, Comment: comment} })
	register(s, "approve-tokens", "POST", "/api/organizations/{organization}/settings/tokens/approve", "Approve several tokens as they were reviewed, with each result", func(ctx context.Context, in *struct {
		OrganizationPath
		Body BulkApproval
	},
	) (*body[BulkResults], error) {
		return s.each(ctx, in.Organization, "tokens", in.Body.Tokens, func(t Reviewed) inventory.Command {
			return inventory.Approve{Organization: in.Organization, Token: t.ID, Version: t.Version, Request: t.Request, Until: when(in.Body.Until), Comment: in.Body.Comment}
		})
	})
	register(s, "deny-tokens", "POST", "/api/organizations/{organization}/settings/tokens/deny", "Deny several tokens as they were reviewed, with each result", func(ctx context.Context, in *struct {
		OrganizationPath
		Body BulkDenial
	},
	) (*body[BulkResults], error) {
		return s.each(ctx, in.Organization, "tokens", in.Body.Tokens, func(t Reviewed) inventory.Command {
			return inventory.Deny{Organization: in.Organization, Token: t.ID, Version: t.Version, Request: t.Request, Reason: in.Body.Reason}
		})
	})
}

func (s *service) bulkAction(name, summary string, command func(org, id, comment string) inventory.Command) {
	register(s, name+"-organization-tokens", "POST", "/api/organizations/{organization}/settings/tokens/"+name, summary+", with each result", func(ctx context.Context, in *struct {
		OrganizationPath
		Body Bulk
	},
	) (*body[BulkResults], error) {
		tokens := make([]Reviewed, len(in.Body.IDs))
		for i, id := range in.Body.IDs {
			tokens[i].ID = id
		}
		return s.each(ctx, in.Organization, "ids", tokens, func(t Reviewed) inventory.Command { return command(in.Organization, t.ID, in.Body.Comment) })
	})
}

// bulkEverywhere registers an action on several tokens as a whole: an operator's.
func (s *service) bulkEverywhere(name, summary string, command func(id, comment string) inventory.Command) {
	register(s, name+"-tokens", "POST", "/api/tokens/"+name, summary+", with each result", func(ctx context.Context, in *struct{ Body Bulk }) (*body[BulkResults], error) {
		if err := s.operatorOnly(ctx); err != nil {
			return nil, err
		}
		tokens := make([]Reviewed, len(in.Body.IDs))
		for i, id := range in.Body.IDs {
			tokens[i].ID = id
		}
		return s.each(ctx, "", "ids", tokens, func(t Reviewed) inventory.Command { return command(t.ID, in.Body.Comment) })
	})
}

// operatorOnly refuses who is no operator before anything is told of the tokens
// that the body names; of each of them the judge is asked then.
func (s *service) operatorOnly(ctx context.Context) error {
	if trusted(ctx) {
		return nil
	}
	q, ok := ctx.Value(questionKey{}).(*question)
	if !ok {
		return errNoActor
	}
	operator, p := s.isOperator(ctx, q)
	switch {
	case p != nil:
		return p
	case operator:
		return nil
	}
	if p := s.ask(ctx, q); p != nil {
		return p
	}
	return newProblem(http.StatusForbidden, "forbidden", "this is for those who run patrol")
}

// each carries out a command on each of the tokens, as the caller may: at an
// organization, or as a whole where that is "".
func (s *service) each(ctx context.Context, organization string, field string, tokens []Reviewed, command func(Reviewed) inventory.Command) (*body[BulkResults], error) {
	if organization != "" {
		if _, err := s.Queries.Organization(ctx, organization); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for i, t := range tokens {
		if seen[t.ID] {
			return nil, &inventory.Invalid{Field: field, Problem: fmt.Sprintf("names a token twice, the second time as number %d", i+1)}
		}
		seen[t.ID] = true
	}
	out := BulkResults{Results: make([]BulkResult, len(tokens))}
	for i, t := range tokens {
		out.Results[i] = s.one(ctx, organization, t, command(t))
		if out.Results[i].Problem == nil {
			out.Succeeded++
		} else {
			out.Failed++
		}
	}
	return &body[BulkResults]{out}, nil
}

func (s *service) one(ctx context.Context, organization string, t Reviewed, c inventory.Command) BulkResult {
	err := s.judgeTarget(ctx, organization, t.ID)
	var r inventory.Result
	if err == nil {
		r, err = s.do(ctx, c)
	}
	if err != nil {
		p := problem(err)
		if p.Status >= http.StatusInternalServerError {
			s.Log.Error("the admin API failed", "action", c.Action(), "request_id", requestOf(ctx).id, "error", err)
		}
		p.RequestID = requestOf(ctx).id
		return BulkResult{ID: t.ID, Status: p.Status, Problem: p}
	}
	return BulkResult{ID: t.ID, Status: http.StatusOK, Authorization: r.Token.Authorization}
}

// judgeTarget asks whether the caller may act on a token that the body names.
func (s *service) judgeTarget(ctx context.Context, organization, id string) error {
	if trusted(ctx) {
		return nil
	}
	row, err := s.Queries.Token(ctx, organization, id)
	if err != nil {
		return err
	}
	return s.judge(ctx, func(q *question) { q.Target = &askedTarget{ID: row.ID, Owner: row.Owner} })
}
