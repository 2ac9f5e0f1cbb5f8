# METADATA
# title: Review
# description: >-
#   What to do about an approval request: approve, deny or escalate, with the
#   reasons. It is a recommendation; an organization may name the rules by which
#   it is acted on. An overlay adds data.local.review.reasons, takes rules away by
#   data.local.review.off, and sets data.local.review.thresholds. Approving is
#   derived from facts that are there: where one is missing, a person looks.
package patrol.review

import data.patrol.lib

# METADATA
# description: The recommendation. One reason to deny outweighs all, one to escalate those to approve.
# entrypoint: true
recommendation := {"action": action, "reasons": told, "until_days": days}

default action := "escalate"

action := "deny" if "deny" in actions

action := "approve" if actions == {"approve"}

actions := {reason.action | some reason in reasons}

told := [{"rule": "default", "action": "escalate", "why": "No rule speaks for it or against it"}] if count(reasons) == 0

told := [reason | some reason in reasons] if count(reasons) > 0

default days := 0

days := threshold("approve_days") if action == "approve"

# METADATA
# description: What the rules say, those of the overlay included.
reasons contains reason if {
	some reason in (found | local)
	not off(reason.rule)
}

off(rule) if rule in data.local.review.off

default local := set()

local := data.local.review.reasons

# METADATA
# description: A threshold; the overlay's comes first.
threshold(name) := data.local.review.thresholds[name] if data.local.review.thresholds[name]

else := data.patrol.review.thresholds[name]

asked contains permission if {
	some grant in input.asked.grants
	some permission in grant.permissions
}

# --- for it

found contains {"rule": "read_only", "action": "approve", "why": "It only reads, says what for, and ends"} if {
	sound
	every permission in asked {
		permission in threshold("read_only")
	}
	input.asked.purpose != ""
	input.token.remaining_seconds <= threshold("longest_days") * 86400
}

found contains {"rule": "renewal", "action": "approve", "why": "It asks for no more than was approved before"} if {
	sound
	input.authorization.state == "approved"
	input.authorization.expired == true
	count(input.asked.added) == 0
	input.token.remaining_seconds > 0
}

# Nothing that would speak against it is left open by a fact that isn't there.
sound if {
	input.asked.previous in {"none", "approved", "withdrawn"}
	count(asked) > 0
	every grant in input.asked.grants {
		grant.entity.type
		count(grant.permissions) > 0
		every permission in grant.permissions {
			lib.implied(lib.right("roles", input.membership.role), permission)
		}
	}
	accountable
	within_limit
}

accountable if input.token.owner.type == "user"

accountable if {
	input.token.owner.type == "service_account"
	input.asked.contact != ""
}

within_limit if input.organization.settings.max_token_lifetime_days == 0

within_limit if input.token.remaining_seconds <= input.organization.settings.max_token_lifetime_days * 86400

# --- for a person to look at

found contains {"rule": "administration", "action": "escalate", "why": sprintf("It may administer the organization: %s", [concat(", ", powers)])} if {
	powers := asked & {permission | some permission in threshold("administration")}
	count(powers) > 0
}

found contains {"rule": "organization_wide_write", "action": "escalate", "why": "It may write everywhere in the organization"} if {
	some grant in input.asked.grants
	grant.entity.type == "organization"
	some permission in grant.permissions
	permission in lib.permissions # one that nobody knows grants nothing, and is told apart
	not permission in threshold("read_only")
	not permission in threshold("administration")
}

found contains {"rule": "no_end", "action": "escalate", "why": "The token never expires"} if not input.token.remaining_seconds

found contains {"rule": "denied_before", "action": "escalate", "why": "It was denied before"} if input.asked.previous == "denied"

found contains {"rule": "no_contact", "action": "escalate", "why": "It belongs to a service account, and nobody is named to answer for it"} if {
	input.token.owner.type == "service_account"
	not accountable
}

found contains {"rule": "unknown_permission", "action": "escalate", "why": sprintf("The policy does not know what it asks for: %s", [concat(", ", unknown)])} if count(unknown) > 0

unknown := asked - lib.permissions

# --- against it

found contains {"rule": "beyond_role", "action": "deny", "why": sprintf("The owner's role %s does not give it: %s", [input.membership.role, concat(", ", beyond)])} if {
	beyond := {permission |
		some permission in asked
		permission in lib.permissions
		not lib.implied(lib.right("roles", input.membership.role), permission)
	}
	count(beyond) > 0
}

found contains {"rule": "lives_too_long", "action": "deny", "why": "It lives longer than the organization allows"} if {
	input.organization.settings.max_token_lifetime_days > 0
	not within_limit
}
