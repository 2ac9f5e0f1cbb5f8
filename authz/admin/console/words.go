package console

import (
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// permissionWords say what a permission allows, where its name does not.
var permissionWords = map[string]string{
	"repo.content.read": "read content", "repo.write": "read and write content", "org.read": "see the organization",
	"org.write": "change the organization", "collection.read": "see collections", "collection.write": "change collections",
	"discussion.write": "write discussions", "job.write": "run jobs", "resourceGroup.write": "change resource groups",
	"inference.serverless.write": "call serverless inference", "inference.endpoints.infer.write": "call inference endpoints",
	"inference.endpoints.write": "manage inference endpoints", "org.serviceAccounts.read": "see service accounts",
	"org.serviceAccounts.write": "manage service accounts", "org.tokens.read": "see tokens", "org.tokens.review": "review tokens",
	"org.tokens.write": "manage tokens",
}

// permissionWord is a permission for people; an unknown one is itself.
func permissionWord(p string) string {
	if w, ok := permissionWords[p]; ok {
		return w
	}
	return p + " (unknown: grants nothing)"
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
		return "not decided on" // the policy says what that means
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
