package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// standing is how a token stands in an organization, in words for its owner.
type standing struct {
	Row *inventory.TokenRow
	// Words are short, for a list; Says is what they mean, in sentences.
	Words, Tone, Says string
	// Reason is what an administrator wrote about it.
	Reason string
	// Asked is the question of an administrator that waits for an answer.
	Asked *inventory.Note
	// Ask is what the owner may ask: one of the constants below.
	Ask string
	// From is when it may be asked again, where that is not yet.
	From time.Time
}

// What an owner may ask.
const (
	askNothing = ""
	askPurpose = "purpose" // a request is open: what it is for may be said
	askFirst   = "first"   // an approval is needed, and nobody was asked
	askAnew    = "again"
)

// present is what a standing is judged by.
type present struct {
	now          time.Time
	organization *inventory.OrganizationRow
	// policy decides at present, next from a date on; nil where there is none.
	policy, next *authz.TokenPolicy
	// member: the owner is one of the organization.
	member bool
}

// asks says whether the present or the next policy asks for an approval.
func (p *present) asks() bool {
	return p.policy != nil && p.policy.RequiresApproval || p.next != nil && p.next.RequiresApproval
}

// exempt says whether a token needs no approval since an administrator made it.
func (p *present) exempt(a *inventory.AuthorizationRow) bool {
	return a.AdminCreated && p.organization.Settings[inventory.SettingFourEyes] != true
}

// stand says how a token stands: what ends it everywhere first, then what holds
// in the organization, in the order in which requests are judged.
func stand(row *inventory.TokenRow, p *present) *standing {
	s := &standing{Row: row}
	a := row.Authorization
	if a == nil {
		a = &inventory.AuthorizationRow{}
	}
	s.Reason = a.Comment
	if q := a.Request; q != nil && q.WaitsForOwner && q.State == authz.RequestOpen {
		for i := range q.Notes {
			if q.Notes[i].Kind == "question" {
				s.Asked = &q.Notes[i]
			}
		}
	}
	in, on := row.Organization, ""
	if a.ChangedAt != nil {
		on = " on " + moment(*a.ChangedAt)
	}
	if q := a.Request; q != nil && q.Decision == a.Status && q.DecidedAt != nil {
		on, s.Reason = " on "+moment(*q.DecidedAt), q.Comment // and not of when it was resumed since
	}
	switch {
	case row.Disabled:
		s.is("disabled everywhere", "bad", "It is disabled everywhere. Who operates patrol can enable it again.")
	case row.ExpiresAt != nil && !p.now.Before(*row.ExpiresAt):
		s.is("expired", "bad", "It expired on "+moment(*row.ExpiresAt)+", and is refused everywhere. A new token takes its place.")
	case a.Status == authz.StateRevoked:
		s.is("revoked", "bad", "An administrator of "+in+" revoked it"+on+", for ever. It goes on elsewhere. If it was leaked, make a new one and delete this one.")
	case !p.member:
		s.is("refused: "+row.Owner+" is no member", "bad", row.Owner+" is no member of "+in+": the token is refused there. An administrator of "+in+" makes somebody a member.")
		s.Reason = ""
	case a.Status == "suspended":
		s.is("suspended", "stopped", "An administrator of "+in+" suspended it"+on+": it is refused there until they resume it.")
	default:
		s.byPolicy(a, p, on)
	}
	return s
}

func (s *standing) is(words, tone, says string) { s.Words, s.Tone, s.Says = words, tone, says }

// byPolicy is how a token stands that the token policy and its approvals judge.
func (s *standing) byPolicy(a *inventory.AuthorizationRow, p *present, on string) {
	row, in := s.Row, s.Row.Organization
	switch {
	case row.Kind != authz.KindFineGrained:
		s.authorized(p, func(t *authz.TokenPolicy) string { return t.Unscoped })
		s.Reason = ""
		if p.policy != nil && p.policy.Unscoped == "Authorized" {
			s.outlives(p)
		}
		return
	case len(row.Grants) == 0:
		s.refused(p, "no grant", "It has no grant on "+in+".", "A token with grants on "+in+" is needed.")
		return
	case s.outlives(p):
		return
	case !p.asks() || p.exempt(a) && a.Status == "none":
		s.authorized(p, func(t *authz.TokenPolicy) string { return t.FineGrained })
		s.Reason = "" // a decision that no policy asks for sleeps
		if a.AdminCreated && p.asks() {
			s.is("works: made by an administrator", "good", "It needs no approval: "+row.Owner+" is an administrator of "+in+", and was when it was made.")
		}
		return
	}
	s.byApproval(a, p, on)
}

// byApproval is how a token stands of which the token policy asks for an approval:
// at present, or from the day of the next one on.
func (s *standing) byApproval(a *inventory.AuthorizationRow, p *present, on string) {
	in, refused := s.Row.Organization, "Until it is approved it is refused there."
	switch {
	case p.policy == nil || !p.policy.RequiresApproval:
		refused = "From " + day(p.organization.EnforceAt) + " on it is refused there without an approval; until that day it works."
	case p.organization.Enforcement == authz.Observe:
		refused = "It works all the same as long as " + in + " only observes."
	}
	q := a.Request
	switch a.Status {
	case "pending":
		s.Ask = askPurpose
		s.is("waits for an approval", "waiting", "An administrator of "+in+" has to approve it. "+refused)
		if q != nil {
			s.Says = "Administrators of " + in + " were asked on " + moment(q.OpenedAt) + " to approve it. " + refused
		}
		if s.Asked != nil {
			s.Words = "waits for an answer"
		}
	case authz.StateDenied:
		s.Ask = askAnew
		s.is("denied", "bad", "An administrator of "+in+" denied it"+on+". It is refused there; elsewhere it goes on.")
		cooldown := (&inventory.Organization{Settings: p.organization.Settings}).Cooldown()
		switch {
		case q != nil && q.State == authz.RequestOpen:
			s.Ask = askPurpose
			s.is("denied, asked again", "waiting", "An administrator of "+in+" denied it"+on+". They were asked again on "+moment(q.OpenedAt)+"; until they have decided it is refused there.")
			if s.Asked != nil {
				s.Words = "denied, waits for an answer"
			}
		case a.ChangedAt != nil && p.now.Before(a.ChangedAt.Add(cooldown)):
			s.From = a.ChangedAt.Add(cooldown)
		}
	case "approval_ended":
		s.Ask = askAnew
		s.is("approval ended", "waiting", "Its approval by "+in+" ended"+ended(a)+". It has to be approved again. "+refused)
	case authz.StateApproved:
		s.is("approved", "good", "An administrator of "+in+" approved it"+on+".")
		if a.ExpiresAt != nil {
			s.Words = "approved until " + a.ExpiresAt.UTC().Format(time.DateOnly)
			s.Says += " The approval ends on " + moment(*a.ExpiresAt) + "."
		}
		if q != nil && q.State == authz.RequestOpen {
			s.Ask = askPurpose
			s.Words += ", more is asked"
			s.Says += " What it asks for beyond that was asked on " + moment(q.OpenedAt) + ", and waits for an administrator."
		}
	default: // withdrawn, or there was no room to ask
		s.Ask = askFirst
		s.is("needs an approval", "waiting", "An administrator of "+in+" has to approve it, and nobody was asked yet. "+refused)
	}
}

// refused says why a token is refused, or would be if the organization did not
// only observe, and what helps.
func (s *standing) refused(p *present, short, why, help string) {
	s.Reason = ""
	if p.organization.Enforcement == authz.Observe {
		s.is("works while "+s.Row.Organization+" observes", "waiting", why+" It works as long as "+s.Row.Organization+" only observes. "+help)
		return
	}
	s.is("refused: "+short, "bad", why+" It is refused there. "+help)
}

// outlives says whether a token goes beyond how old the organization lets tokens
// become, or how long they may still live, as data.patrol.checks.lifetime judges.
func (s *standing) outlives(p *present) bool {
	in, settings := s.Row.Organization, settingsOf(p.organization)
	limit := func(name string) int {
		n, _ := strconv.Atoi(settings[name])
		return n
	}
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	age, left := limit(settingAge), limit(settingLifetime)
	switch {
	case age > 0 && p.now.Sub(s.Row.CreatedAt) > days(age):
		s.refused(p, "too old", in+" lets in tokens of at most "+number(age)+" "+plural(age, "day", "days")+", and this one is older.", "A new token takes its place.")
	case left > 0 && s.Row.ExpiresAt == nil:
		s.refused(p, "no end", in+" lets in tokens that end within "+number(left)+" "+plural(left, "day", "days")+", and this one has no end.", "A token that ends takes its place.")
	case left > 0 && s.Row.ExpiresAt.Sub(p.now) > days(left):
		s.refused(p, "ends too late", in+" lets in tokens that end within "+number(left)+" "+plural(left, "day", "days")+", and this one goes on until "+moment(*s.Row.ExpiresAt)+".", "A token that ends sooner takes its place.")
	default:
		return false
	}
	return true
}

// authorized is how a token stands by a cell of the policies' table alone.
func (s *standing) authorized(p *present, cell func(*authz.TokenPolicy) string) {
	in := s.Row.Organization
	if p.policy == nil {
		s.is("not decided on", "", "")
		return
	}
	title := "“" + p.policy.Title + "”"
	switch cell(p.policy) {
	case "Authorized":
		s.is("works", "good", "The token policy of "+in+", "+title+", authorizes it.")
	case "Unauthorized":
		s.is("refused by the token policy", "bad", "The token policy of "+in+", "+title+", does not authorize "+kindWords(s.Row.Kind)+" tokens: it is refused there.")
		if p.organization.Enforcement == authz.Observe {
			s.is("works while "+in+" observes", "waiting", "The token policy of "+in+", "+title+", does not authorize "+kindWords(s.Row.Kind)+" tokens. It works as long as "+in+" only observes.")
		} else if s.Row.Kind != authz.KindFineGrained {
			s.Says += " A fine-grained token with grants on " + in + " takes its place."
		}
	default:
		s.is(lowerFirst(cell(p.policy)), "", "The token policy of "+in+", "+title+", says: "+lowerFirst(cell(p.policy))+".")
	}
	if p.next != nil && cell(p.next) == "Unauthorized" && cell(p.policy) == "Authorized" {
		s.is("works until "+day(p.organization.EnforceAt), "waiting", s.Says+" From "+day(p.organization.EnforceAt)+" on “"+p.next.Title+"” does not.")
	}
}

func ended(a *inventory.AuthorizationRow) string {
	if a.ExpiresAt == nil {
		return ""
	}
	return " on " + moment(*a.ExpiresAt)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// standings say how tokens stand, in each organization that lists them, by the
// token's id. owner is the name of theirs.
func (c *Console) standings(a *ask, owner string, rows []inventory.TokenRow) (map[string][]*standing, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	on, err := c.Queries.Reach(a.Context(), ids)
	if err != nil {
		return nil, fmt.Errorf("read where tokens reach: %w", err)
	}
	roles, err := c.Queries.Roles(a.Context(), owner)
	if err != nil {
		return nil, err
	}
	out, known := map[string][]*standing{}, map[string]*present{}
	for i := range on {
		row := &on[i]
		p := known[row.Organization]
		if p == nil {
			if p, err = c.presently(a, row.Organization, roles); err != nil {
				return nil, err
			}
			known[row.Organization] = p
		}
		out[row.ID] = append(out[row.ID], stand(row, p))
	}
	return out, nil
}

// presently is what an organization's tokens of an owner are judged by, who has
// roles in organizations.
func (c *Console) presently(a *ask, organization string, roles map[string]string) (*present, error) {
	o, err := c.Queries.Organization(a.Context(), organization)
	if err != nil {
		return nil, err
	}
	return &present{now: c.Clock(), organization: o, policy: c.describe(o.TokenPolicy), next: c.describe(o.NextTokenPolicy), member: roles[o.Name] != ""}, nil
}
