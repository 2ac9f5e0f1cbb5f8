# METADATA
# title: The decision
# description: >-
#   Gathers the reasons to refuse, drops the waived ones, and answers with the
#   first. That nothing was found against a request does not admit it: what
#   admits it has to be there (package patrol.admission).
package patrol.authz

import data.patrol.admission
import data.patrol.lib
import data.patrol.token_policy
import data.patrol.waivers

# METADATA
# description: The answer. An overlay's data.local.answer may add opa-envoy-plugin's keys.
# entrypoint: true
decision := object.union(data.local.answer, verdict) if data.local.answer

else := verdict

# METADATA
# description: Every reason to refuse the request, waived or not.
found contains reason if some reason in data.patrol.checks[_].reasons

found contains reason if some reason in data.local.checks[_].reasons

found contains reason if some reason in token_policy.reasons

# Nothing was found against the request, which is what most requests come to.
clear if count(found) == 0

# METADATA
# description: Reasons in the order in which they are told; an overlay's own come last.
ordered := [reason | some reason in found] if count(found) < 2

else := array.concat(
	[reason | some reason in data.patrol.order; reason in found],
	[reason | some reason in found; not reason in data.patrol.order],
)

refusals := [reason | some reason in ordered; not reason in waived]

waived := waivers.waived(found)

# METADATA
# description: What the next, dated policy would refuse and this one does not.
added := [] if not input.organization.next_token_policy

else := [reason | some reason in data.patrol.order; reason in token_policy.next; not reason in found]

verdict := {
	"allowed": true,
	"reason": allow_reason,
	"reasons": [],
	"next": added,
	"request_approval": ask,
	"exception": "",
} if {
	clear
	admission.granted
}

else := {
	"allowed": true,
	"reason": waived_reason,
	"reasons": ordered,
	"next": added,
	"request_approval": ask,
	"exception": exception,
} if {
	count(refusals) == 0
	admission.granted
}

else := {
	"allowed": true,
	"reason": "anonymous",
	"reasons": ordered,
	"anonymous": true,
	"request_approval": ask,
} if {
	anonymous
}

else := {
	"allowed": false,
	"reason": refusals[0],
	"reasons": ordered,
	"next": added,
	"request_approval": ask,
} if {
	count(refusals) > 0
}

# A public resource is served without the credential where the token may not be used on it.
anonymous if {
	count(refusals) > 0
	admission.public_reader
	every reason in refusals {
		lib.says(reason, "anonymous")
	}
}

default exception := ""

exception := waivers.used(found)[0]

excepted if exception != ""

default ask := false

# A request is opened all the same where a waiver lets the token pass.
ask if {
	waits
	not "no_grant" in found
	not "owner_not_member" in found
	not "token_revoked" in found
}

ask if widened

waits if "approval_pending" in found

waits if {
	input.organization.next_token_policy
	"approval_pending" in token_policy.next
}

# Grants that were added after the approval are asked for; the old ones go on.
widened if {
	lib.approval_asked
	input.authorization.state == "approved"
	input.authorization.expired == false
	input.authorization.effective != input.authorization.current
	some grant in input.authorization.current
	some permission in grant.permissions
	not approved(grant.entity, permission)
}

approved(entity, permission) if {
	some grant in input.authorization.grants
	grant.entity.type == entity.type
	grant.entity.id == entity.id
	grant.entity.name == entity.name
	permission in grant.permissions
}

# Why a request is allowed that something was found against.
waived_reason := "unmanaged" if input.route.access == "unmanaged"

else := "exception" if excepted

else := "observed"

# Why one is allowed that nothing was found against.
allow_reason := "unmanaged" if input.route.access == "unmanaged"

else := "grace_period" if count(added) > 0

else := "public" if {
	input.credential.state == "missing"
	open_to_all
}

else := "approved" if {
	lib.approval_asked
	input.authorization.state == "approved"
}

else := "admin_created" if {
	lib.approval_asked
	input.authorization.admin_created
}

else := "allowed"

open_to_all if input.route.access == "public"

open_to_all if lib.public_read
