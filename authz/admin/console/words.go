package console

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// permissionWords say what a permission allows, where its name does not.
var permissionWords = map[string]string{
	"repo.content.read": "read content", "repo.write": "read and write content", "org.read": "see the organization",
	"org.write": "change the organization", "collection.read": "see collections", "collection.write": "change collections",
	"discussion.write": "write discussions", "job.write": "run jobs", "resourceGroup.write": "change resource groups",
	"inference.serverless.write": "call serverless inference", "inference.endpoints.infer.write": "call inference endpoints",
	"inference.endpoints.write": "manage inference endpoints", "org.serviceAccounts.read": "see service accounts",
	"org.serviceAccounts.write": "manage service accounts", "org.tokens.read": "see tokens", "org.tokens.review": "review tokens",
	"org.tokens.write": "manage tokens", "org.scim.write": "keep members by SCIM",
}

// permissionWord is a permission for people; an unknown one is itself.
func permissionWord(p string) string {
	if w, ok := permissionWords[p]; ok {
		return w
	}
	return p + " (unknown: grants nothing)"
}

// actionsDone say what was done, for timelines and the audit log; others are
// themselves.
var actionsDone = map[string]string{
	"token.issue": "issued", "token.import": "imported", "token.see": "first seen", "token.update": "changed", "token.rotate": "given another secret",
	"token.reuse": "the old secret was used", "token.revoke": "revoked", "token.suspend": "suspended", "token.resume": "resumed",
	"token.disable": "disabled everywhere", "token.enable": "enabled again", "token.delete": "deleted",
	"approval.request": "asked for at its first use", "approval.ask": "asked for, saying what for", "approval.withdraw": "request withdrawn",
	"approval.comment": "noted", "approval.question": "owner asked", "approval.assign": "assigned", "approval.remind": "reminded",
	"approval.escalate": "left to administrators", "approval.approve": "approved", "approval.deny": "denied",
	"organization.create": "organization made", "organization.policy": "token policy changed", "organization.settings": "settings changed",
	"organization.rename": "organization renamed", "organization.delete": "organization deleted", "member.add": "member added, or changed",
	"member.remove": "member removed", "member.confirm": "address confirmed", "member.ask_confirmation": "link to confirm the address sent",
	"notify.unreachable": "nobody could be mailed", "inventory.restore": "backup restored",
	"bundle.rollback": "policy bundle rolled back", "bundle.release": "policy bundle's source counts again", "bundle.shadow": "policy bundle shadowed",
	"bundle.unshadow": "shadow of a policy bundle ended", "bundle.promote": "shadow of a policy bundle promoted",
}

func actionWords(action string, details map[string]any) string {
	switch {
	case details["vote"] == true:
		return "voted to approve"
	case details["answer"] != nil:
		return "answered"
	}
	if w, ok := actionsDone[action]; ok {
		return w
	}
	return action
}

// openedWords say when a request opened.
var openedWords = map[string]string{
	"issue": "when it was issued", "import": "when it was imported", "update": "when it was changed", "hit": "at its first use",
	"owner": "by its owner", "review": "when it was approved", "policy": "when the token policy changed", "member": "when its owner became a member",
}

// recommended says a recommendation of the review rules.
func recommended(action string) string {
	if action == inventory.RecommendEscalate {
		return "a person should look"
	}
	return action
}

// valueWords is a detail of the audit log for people.
func valueWords(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+" "+valueWords(v[k]))
		}
		return strings.Join(parts, ", ")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = valueWords(v[i])
		}
		return strings.Join(parts, ", ")
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return moment(at)
		}
		return v
	}
	return fmt.Sprint(v)
}

// sentence is a problem, as the rules tell it, as a sentence.
func sentence(problem string) string {
	if problem == "" {
		return ""
	}
	return strings.ToUpper(problem[:1]) + problem[1:] + "."
}

// number is a count with its thousands apart.
func number[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ago is a span of time in its greatest unit.
func ago(now, then time.Time) string {
	span := now.Sub(then)
	days := int(span / (24 * time.Hour))
	switch hours := int(span / time.Hour); {
	case days > 0:
		return strconv.Itoa(days) + " " + plural(days, "day", "days")
	case hours > 0:
		return strconv.Itoa(hours) + " " + plural(hours, "hour", "hours")
	}
	minutes := max(1, int(span/time.Minute))
	return strconv.Itoa(minutes) + " " + plural(minutes, "minute", "minutes")
}

// grantWords is what a grant reaches, for people.
func grantWords(e authz.Entity) string {
	switch e.Type {
	case "organization":
		return "everything of " + e.Name
	case "user":
		return "everything of the user " + e.Name
	}
	return e.Type + " " + e.Name
}

func kindWords(kind string) string {
	switch kind {
	case authz.KindRead:
		return "read, unscoped"
	case authz.KindWrite:
		return "write, unscoped"
	}
	return kind
}

// statusWords is a status as the listing says it.
func statusWords(t *inventory.TokenRow) string {
	a := t.Authorization
	if a == nil {
		return ""
	}
	switch a.Status {
	case "none":
		if a.AdminCreated {
			return "made by an administrator"
		}
		return "not decided on" // see byPolicy
	case "pending_frozen":
		return "pending (frozen)"
	case "approved":
		if a.ExpiresAt != nil && a.ExpiresAt.After(time.Time{}) {
			return "allowed until " + a.ExpiresAt.UTC().Format(time.DateOnly)
		}
		return "approved"
	case "approval_ended":
		return "approval ended"
	}
	return strings.ReplaceAll(a.Status, "_", " ")
}

// byPolicy is a status as the listing says it: where nobody decided, by what the
// policy decides at present.
func byPolicy(t *inventory.TokenRow, j *preview.Standing, p *present) string {
	if a := t.Authorization; j == nil || a == nil || a.Status != "none" {
		return statusWords(t)
	}
	switch {
	case t.Disabled: // which is told beside it
		return statusWords(t)
	case j.Allowed && j.Reason == reasonAdminCreated:
		return "made by an administrator"
	case j.Allowed && len(j.Reasons) == 0 && len(j.Next) == 0:
		return "authorized by policy"
	case j.Allowed:
		return lowerFirst(p.title(j.Reason))
	case j.Reason == reasonTypeNotAllowed:
		return "unauthorized by policy"
	case j.Reason == authz.ReasonApprovalPending:
		return "needs an approval"
	}
	return "refused: " + lowerFirst(p.title(j.Reason))
}

// presentWords is a status by itself.
func presentWords(status string) string {
	if status == "none" {
		return "not decided on"
	}
	for _, c := range statuses {
		if c.Value == status && status != "" {
			return c.Words
		}
	}
	return strings.ReplaceAll(status, "_", " ")
}

// statusTone is the colour of a status; it is never the only sign.
func statusTone(t *inventory.TokenRow) string {
	if t.Authorization == nil {
		return ""
	}
	switch t.Authorization.Status {
	case "pending", "pending_frozen", "approval_ended":
		return "waiting"
	case "denied", "revoked":
		return "bad"
	case "suspended":
		return "stopped"
	case "approved":
		return "good"
	}
	return ""
}
