package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// Standings says how tokens, by their ids, stand in an organization: judged as
// requests are, on at most so much of what each may do there.
type Standings interface {
	Stand(ctx context.Context, organization string, tokens []string, most int) (map[string]*preview.Standing, error)
}

// standing is how a token stands in an organization, in words for its owner. The
// policy says whether and why; these are its reasons with what is known about them.
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
	// Parts are what of it comes out otherwise; More are those that are not listed.
	Parts []part
	More  int
}

// part is something that a token may do, and what becomes of it.
type part struct{ What, Says string }

// mostParts is how many parts of what a token may do are listed.
const mostParts = 10

// What an owner may ask.
const (
	askNothing = ""
	askPurpose = "purpose" // a request is open: what it is for may be said
	askFirst   = "first"   // an approval is needed, and nobody was asked
	askAnew    = "again"
)

// present is what the words for a standing are made of, beside the decision.
type present struct {
	now          time.Time
	organization *inventory.OrganizationRow
	catalogue    authz.Catalogue
	// policy decides at present, next from a date on; nil where there is none.
	policy, next *authz.TokenPolicy
}

// circumstance is how what is against a token takes effect.
type circumstance int

const (
	refused  circumstance = iota
	observed              // it is let in, while the organization only observes
	excepted              // it is let in by an exception
	waived                // it is let in by another rule of the bundle
	dated                 // it is let in until the next policy is in force
)

// Reasons of the base bundle that have words of their own here, beside those that
// Go has to know.
const (
	reasonApproved       = "approved"
	reasonAdminCreated   = "admin_created"
	reasonTypeNotAllowed = "token_type_not_allowed"
	reasonNoGrant        = "no_grant"
	reasonLifetime       = "lifetime_exceeded"
	reasonException      = "exception"
)

// stand puts a decision on a token into words.
func stand(row *inventory.TokenRow, j *preview.Standing, p *present) *standing {
	s := &standing{Row: row}
	if j == nil { // not read by this server yet, or read no more
		s.is("cannot be judged at present", "waiting", "This server cannot say at present whether it is let in. Look again in a moment.")
		return s
	}
	a := authorizationOf(row)
	if q := a.Request; q != nil && q.WaitsForOwner && q.State == authz.RequestOpen {
		for i := range q.Notes {
			if q.Notes[i].Kind == "question" {
				s.Asked = &q.Notes[i]
			}
		}
	}
	switch {
	case j.Allowed && len(j.Reasons) == 0 && (len(j.Next) == 0 || p.organization.EnforceAt == nil): // the dated change was taken back just now
		s.works(&j.Judged, p)
	case j.Allowed && len(j.Reasons) == 0:
		s.against(j.Next[0], dated, &j.Judged, p)
	case j.Allowed && j.Reason == authz.ReasonObserved:
		s.against(j.Reasons[0], observed, &j.Judged, p)
	case j.Allowed && j.Reason == reasonException:
		s.against(j.Reasons[0], excepted, &j.Judged, p)
	case j.Allowed:
		s.against(j.Reasons[0], waived, &j.Judged, p)
	default:
		s.against(j.Reason, refused, &j.Judged, p)
	}
	if j.Allowed {
		s.parts(j.Others, p)
	}
	return s
}

func authorizationOf(row *inventory.TokenRow) *inventory.AuthorizationRow {
	if row.Authorization == nil {
		return &inventory.AuthorizationRow{}
	}
	return row.Authorization
}

func (s *standing) is(words, tone, says string) { s.Words, s.Tone, s.Says = words, tone, says }

// works is how a token stands that nothing is against.
func (s *standing) works(j *preview.Judged, p *present) {
	row, a, in := s.Row, authorizationOf(s.Row), s.Row.Organization
	switch j.Reason {
	case reasonApproved:
		s.Reason = a.Comment
		s.is("approved", "good", "An administrator of "+in+" approved it"+s.on(a)+".")
		if a.ExpiresAt != nil {
			s.Words = "approved until " + day(a.ExpiresAt)
			s.Says += " The approval ends on " + moment(a.ExpiresAt) + "."
		}
		if q := a.Request; q != nil && q.State == authz.RequestOpen {
			s.Ask = askPurpose
			s.Words += ", more is asked"
			s.Says += " What it asks for beyond that was asked on " + moment(q.OpenedAt) + ", and waits for an administrator."
		}
	case reasonAdminCreated:
		s.is("works: made by an administrator", "good", "It needs no approval: "+row.Owner+" is an administrator of "+in+", and was when it was made.")
	default:
		if p.policy == nil {
			s.is("works", "good", in+" is a user's own: no token policy is asked there.")
			return
		}
		policy := "The token policy of " + in + ", “" + p.policy.Title + "”, "
		s.is("works", "good", policy+"authorizes it.")
		if cell := p.cell(row.Kind); cell != "" && cell != "Authorized" {
			s.Says = "It is let in at present. " + policy + "says of " + kindWords(row.Kind) + " tokens: " + lowerFirst(cell) + "."
		}
	}
}

// cell is what the table of the policies says of a kind of tokens.
func (p *present) cell(kind string) string {
	if kind == authz.KindFineGrained {
		return p.policy.FineGrained
	}
	return p.policy.Unscoped
}

// on is when the state was decided on, and the reason that was given; and not of
// when it was resumed since.
func (s *standing) on(a *inventory.AuthorizationRow) string {
	if q := a.Request; q != nil && q.Decision == a.Status && q.DecidedAt != nil {
		s.Reason = q.Comment
		return " on " + moment(q.DecidedAt)
	}
	if a.ChangedAt != nil {
		return " on " + moment(a.ChangedAt)
	}
	return ""
}

// against is how a token stands that something is against.
func (s *standing) against(reason string, how circumstance, j *preview.Judged, p *present) {
	row, a, in := s.Row, authorizationOf(s.Row), s.Row.Organization
	switch reason {
	case authz.ReasonTokenUnknown:
		s.is("disabled everywhere", "bad", "It is disabled everywhere. Who operates patrol can enable it again.")
	case authz.ReasonTokenExpired:
		s.is("expired", "bad", "It expired on "+moment(row.ExpiresAt)+", and is refused everywhere. A new token takes its place.")
	case authz.ReasonTokenRevoked:
		s.Reason = a.Comment
		s.is("revoked", "bad", "An administrator of "+in+" revoked it"+s.on(a)+", for ever. It goes on elsewhere. If it was leaked, make a new one and delete this one.")
	case authz.ReasonTokenSuspended:
		s.Reason = a.Comment
		s.is("suspended", "stopped", "An administrator of "+in+" suspended it"+s.on(a)+": it is refused there until they resume it.")
	case authz.ReasonApprovalPending:
		s.Reason = a.Comment
		s.waits(a, how, j, p)
	case authz.ReasonApprovalDenied:
		s.Reason = a.Comment
		s.denied(a, p)
	case authz.ReasonPolicyError:
		s.is("cannot be judged", "bad", "The policy could not be evaluated: its requests are refused until it can. Who operates patrol finds the cause in the log.")
	default:
		s.byRule(reason, how, j, p)
	}
}

// byRule is how a token stands that a rule is against: by what the rule is about,
// what helps, and how it takes effect.
func (s *standing) byRule(reason string, how circumstance, j *preview.Judged, p *present) {
	row, in := s.Row, s.Row.Organization
	short, why, help := "", "", ""
	switch reason {
	case authz.ReasonOwnerNotMember:
		short, why, help = "refused: "+row.Owner+" is no member", row.Owner+" is no member of "+in+".", "An administrator of "+in+" makes somebody a member."
	case reasonTypeNotAllowed:
		policy := p.policy
		if how == dated {
			policy = p.next
		}
		short, why = "refused by the token policy", "The token policy of "+in+titled(policy)+" does not authorize "+kindWords(row.Kind)+" tokens."
		if row.Kind != authz.KindFineGrained {
			help = "A fine-grained token with grants on " + in + " takes its place."
		}
	case reasonNoGrant:
		short, why, help = "refused: no grant", "It has no grant on "+in+".", "A token with grants on "+in+" is needed."
	case reasonLifetime:
		short, why, help = "refused: lives too long", p.lifetimes(j), "A new token that ends in time takes its place."
	default:
		short, why = "refused: "+lowerFirst(p.title(reason)), p.title(reason)+"."
		if j.Message != "" {
			why = j.Message + "."
		}
		if reason != authz.ReasonInsufficientPermission { // a rule of somebody's, which may read anything
			help = "This was judged without a request: one of another path or address may come out otherwise."
		}
	}
	switch how {
	case observed:
		s.is("works while "+in+" observes", "waiting", why+" It works as long as "+in+" only observes.")
	case excepted:
		s.is("works by an exception", "waiting", why+" An exception in the policy lets it in.")
	case waived:
		s.is("works all the same", "waiting", why+" It is let in all the same: "+lowerFirst(p.title(j.Reason))+".")
	case dated:
		s.is("works until "+day(p.organization.EnforceAt), "waiting", "It is refused from "+day(p.organization.EnforceAt)+" on. "+why)
	default:
		s.is(short, "bad", why+" It is refused there.")
	}
	if help != "" {
		s.Says += " " + help
	}
}

// titled adds a policy's title, where it has one here.
func titled(policy *authz.TokenPolicy) string {
	if policy == nil {
		return ""
	}
	return ", “" + policy.Title + "”,"
}

// title is a reason in the words of the bundle's catalogue.
func (p *present) title(reason string) string { return reasonTitle(p.catalogue, reason) }

// lifetimes are the limits of an organization, or what the rule says of itself.
func (p *present) lifetimes(j *preview.Judged) string {
	settings := settingsOf(p.organization)
	var limits []string
	for _, l := range []struct{ setting, words string }{{inventory.SettingAge, "are at most %s old"}, {inventory.SettingLifetime, "end within %s"}} {
		if n, _ := strconv.Atoi(settings[l.setting]); n > 0 {
			limits = append(limits, fmt.Sprintf(l.words, number(n)+" "+plural(n, "day", "days")))
		}
	}
	if len(limits) == 0 {
		return j.Message + "."
	}
	return p.organization.Name + " lets in tokens that " + strings.Join(limits, " and ") + "."
}

// waits is how a token stands of which the token policy asks for an approval that
// it has not: at present, or from the day of the next policy on.
func (s *standing) waits(a *inventory.AuthorizationRow, how circumstance, j *preview.Judged, p *present) {
	in, then := s.Row.Organization, "Until it is approved it is refused there."
	switch how {
	case observed:
		then = "It works all the same as long as " + in + " only observes."
	case excepted:
		then = "It works all the same by an exception in the policy."
	case waived:
		then = "It works all the same: " + lowerFirst(p.title(j.Reason)) + "."
	case dated:
		then = "From " + day(p.organization.EnforceAt) + " on it is refused there without an approval; until that day it works."
	}
	switch q := a.Request; {
	case q != nil && q.State == authz.RequestOpen:
		s.Ask = askPurpose
		s.is("waits for an approval", "waiting", "Administrators of "+in+" were asked on "+moment(q.OpenedAt)+" to approve it. "+then)
		if s.Asked != nil {
			s.Words = "waits for an answer"
		}
	case a.Status == "approval_ended":
		s.Ask = askAnew
		s.is("approval ended", "waiting", "Its approval by "+in+" ended"+ended(a)+". It has to be approved again. "+then)
	default: // withdrawn, or there was no room to ask
		s.Ask = askFirst
		s.is("needs an approval", "waiting", "An administrator of "+in+" has to approve it, and nobody was asked yet. "+then)
	}
}

// denied is how a token stands that an administrator has denied.
func (s *standing) denied(a *inventory.AuthorizationRow, p *present) {
	in, on := s.Row.Organization, s.on(a)
	s.Ask = askAnew
	s.is("denied", "bad", "An administrator of "+in+" denied it"+on+". It is refused there; elsewhere it goes on.")
	cooldown := (&inventory.Organization{Settings: p.organization.Settings}).Cooldown()
	switch q := a.Request; {
	case q != nil && q.State == authz.RequestOpen:
		s.Ask = askPurpose
		s.is("denied, asked again", "waiting", "An administrator of "+in+" denied it"+on+". They were asked again on "+moment(q.OpenedAt)+"; until they have decided it is refused there.")
		if s.Asked != nil {
			s.Words = "denied, waits for an answer"
		}
	case a.ChangedAt != nil && p.now.Before(a.ChangedAt.Add(cooldown)):
		s.From = a.ChangedAt.Add(cooldown)
	}
}

// parts tell what of a token that works comes out otherwise.
func (s *standing) parts(others []preview.Judged, p *present) {
	if slices.ContainsFunc(others, func(j preview.Judged) bool { return !j.Allowed }) {
		s.Words += ", in part"
	}
	for i := range others {
		j := &others[i]
		if i == mostParts {
			s.More = len(others) - mostParts
			return
		}
		one := part{permissionWord(j.Permission) + " on everything of " + s.Row.Organization, p.verdict(j)}
		if j.Resource != nil {
			one.What = permissionWord(j.Permission) + " on " + j.On
		}
		s.Parts = append(s.Parts, one)
	}
}

// verdict is a decision in a few words.
func (p *present) verdict(j *preview.Judged) string {
	switch {
	case j.Reason == authz.ReasonTokenUnknown: // a known one
		return "refused (disabled everywhere)"
	case !j.Allowed:
		return "refused (" + lowerFirst(p.title(j.Reason)) + ")"
	case len(j.Reasons) > 0:
		return lowerFirst(p.title(j.Reason)) + " (" + lowerFirst(p.title(j.Reasons[0])) + ")"
	case len(j.Next) > 0 && p.organization.EnforceAt != nil:
		return "works until " + day(p.organization.EnforceAt) + " (" + lowerFirst(p.title(j.Next[0])) + ")"
	}
	return "works (" + lowerFirst(p.title(j.Reason)) + ")"
}

func ended(a *inventory.AuthorizationRow) string {
	if a.ExpiresAt == nil {
		return ""
	}
	return " on " + moment(a.ExpiresAt)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
