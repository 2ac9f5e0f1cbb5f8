package preview

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Standing is how a token stands in an organization at present: how what it may do
// there would be decided if it were asked for now.
type Standing struct {
	Judged
	// Asks: it has to be asked for, or for more of it than was approved.
	Asks bool `json:"asks,omitempty" doc:"An approval has to be asked for"`
	// Others come out otherwise, of what it may do.
	Others []Judged `json:"others,omitempty" doc:"What of it comes out otherwise"`
	// Tried is on how much it was judged.
	Tried int    `json:"tried" doc:"On how much it was judged: on its grants, else on what tokens of its kind are for"`
	Error string `json:"policy_error,omitempty" doc:"Why it could not be judged"`
}

// Judged is the decision on one thing that a token may do.
type Judged struct {
	Permission string          `json:"permission,omitempty"`
	Resource   *authz.Resource `json:"-"` // nil: the organization itself
	On         string          `json:"on,omitempty" doc:"The resource's type and name; absent: the organization"`
	Allowed    bool            `json:"allowed"`
	Reason     string          `json:"reason"`
	// Reasons are all that is against it; where it is allowed, what was waived.
	Reasons []string `json:"reasons,omitempty"`
	Next    []string `json:"next,omitempty" doc:"What the next, dated policy will add"`
	// Message is what a client is told that is refused, or would be if nothing
	// were waived.
	Message string `json:"message,omitempty"`
}

// same says whether two come out alike: what is refused is, for its reason.
func (j *Judged) same(other *Judged) bool {
	if !j.Allowed && !other.Allowed {
		return j.Reason == other.Reason
	}
	return j.Allowed == other.Allowed && j.Reason == other.Reason && slices.Equal(j.Reasons, other.Reasons) && slices.Equal(j.Next, other.Next)
}

// Tries say on how much of what tokens may do they are judged: fewer, where many
// tokens are listed.
const (
	FewTries  = 4
	ManyTries = 40
)

// Stand says how tokens, by their ids, stand in an organization at present. It
// decides as requests are decided, on the facts in memory: nothing is read, opened,
// counted or kept. Tokens that are not there any more are left out.
func (p *Previewer) Stand(ctx context.Context, organization string, tokens []string, most int) (map[string]*Standing, error) {
	s := stander{Previewer: p, rules: p.Rules(), snapshot: p.Snapshot(), most: most, now: p.Clock().UTC().Truncate(time.Second)}
	if s.rules == nil || s.rules.Evaluator == nil {
		return nil, errors.New("no policy bundle is active")
	}
	if s.snapshot == nil {
		return nil, errors.New("the inventory has not been read yet")
	}
	if s.organization = s.snapshot.Organization(organization).At(s.now); s.organization == nil {
		return nil, &inventory.NotFound{What: "organization", Name: organization}
	}
	var err error
	if s.tried, err = fallbacks(ctx, s.rules); err != nil {
		return nil, err
	}
	s.tries.names = []string{s.organization.Name}
	out := make(map[string]*Standing, len(tokens))
	for _, id := range tokens {
		if s.snapshot.TokenByID(id, &s.token) {
			out[id] = s.stand(ctx)
		}
	}
	return out, ctx.Err()
}

// stander judges one token after the other.
type stander struct {
	*Previewer
	rules        *authz.Ruleset
	snapshot     Snapshot
	now          time.Time
	organization *authz.Organization
	tried        map[string][]string
	most         int
	tries        tries
	token        authz.Token
	access       authz.Access
}

func (s *stander) stand(ctx context.Context) *Standing {
	t := &s.token
	f := authz.Facts{Now: s.now, Credential: authz.CredentialFacts{State: authz.CredentialPresent, Scheme: authz.SchemeBearer}, Organization: s.organization}
	s.access = authz.Access{}
	s.snapshot.Access(t, s.organization, &s.access)
	if t.Disabled { // as the pipeline has it
		f.Credential.Disabled = true
	} else {
		f.Token, f.Authorization, f.Current, f.Effective = t, &s.access.Authorization, s.access.Current, s.access.Effective
		if t.Owner != nil {
			f.Membership = s.snapshot.Membership(s.organization, t.Owner)
		}
	}
	usual, grants := s.tried[t.Kind], s.access.Current.All()
	s.tries.routes, s.tries.most = s.tries.routes[:0], s.most
	for i := range grants {
		s.tries.entity(&grants[i].Entity, grants[i].Permissions)
	}
	if len(grants) == 0 {
		s.tries.entity(&authz.Entity{Type: authz.TypeOrganization}, usual)
	}
	out := &Standing{}
	all, err := s.judge(ctx, &f, 0, out)
	if err == nil && !slices.ContainsFunc(all, func(j Judged) bool { return j.Allowed }) {
		// What a grant is for may be more than its owner's role allows, and a part of
		// it, such as reading, goes all the same.
		granted := len(s.tries.routes)
		s.tries.most = 2 * s.most
		for i := range grants {
			s.tries.entity(&grants[i].Entity, usual)
		}
		var more []Judged
		more, err = s.judge(ctx, &f, granted, out)
		all = append(all, slices.DeleteFunc(more, func(j Judged) bool { return !j.Allowed })...)
	}
	if err != nil {
		return &Standing{Judged: Judged{Reason: authz.ReasonPolicyError}, Error: err.Error()}
	}
	out.Tried = len(all)
	out.choose(all)
	return out
}

// judge decides on what the token is tried on, from one on.
func (s *stander) judge(ctx context.Context, f *authz.Facts, from int, out *Standing) (all []Judged, err error) {
	for i := from; i < len(s.tries.routes); i++ {
		route := s.tries.routes[i]
		f.Route = &route
		d, err := s.Judge(ctx, s.rules, f)
		if err != nil {
			return nil, err
		}
		out.Asks = out.Asks || d.RequestApproval
		j := Judged{Permission: route.Permission, Resource: route.Resource, Allowed: d.Allowed, Reason: d.Reason, Reasons: d.Reasons, Next: d.Next}
		if route.Resource != nil {
			j.On = route.Resource.Type + " " + route.Resource.Name
		}
		if s.Sentence != nil && len(d.Reasons) > 0 {
			j.Message = s.sentence(f, d)
		}
		all = append(all, j)
	}
	return all, nil
}

// sentence is what a client is told, or would be if nothing were waived.
func (s *stander) sentence(f *authz.Facts, d authz.Decision) string {
	if d.Allowed {
		d.Reason = d.Reasons[0]
	}
	facts := *f
	o := &authz.Outcome{Facts: &facts, Decision: d, Reason: s.rules.Catalogue.Get(d.Reason)}
	if a := f.Authorization; a != nil && a.Request != nil && a.Request.State == authz.RequestOpen {
		o.Approval = a.Request
	}
	return strings.TrimSpace(s.Sentence(o))
}

// choose tells first what goes as it should, else what goes, else what is refused.
func (s *Standing) choose(all []Judged) {
	if len(all) == 0 { // no permission of its kind is known: it may do nothing
		s.Judged = Judged{Reason: authz.ReasonInsufficientPermission}
		return
	}
	first := slices.IndexFunc(all, func(j Judged) bool { return j.Allowed && len(j.Reasons) == 0 && len(j.Next) == 0 })
	if first < 0 {
		first = max(0, slices.IndexFunc(all, func(j Judged) bool { return j.Allowed }))
	}
	s.Judged = all[first]
	for i := range all {
		if !all[i].same(&s.Judged) {
			s.Others = append(s.Others, all[i])
		}
	}
}
