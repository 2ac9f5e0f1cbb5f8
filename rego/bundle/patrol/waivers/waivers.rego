# METADATA
# title: Waivers
# description: >-
#   What may be waived, and when: in an organization that only observes, what
#   the catalogue marks observable; by an exception of the overlay, what it marks
#   waivable. An exception ends: from its end on it waives nothing.
package patrol.waivers

import data.patrol.lib

# METADATA
# description: Those of the given reasons that do not refuse.
waived(found) := {reason | some reason in found; waives(reason, found)}

waives(reason, _) if {
	input.organization.enforcement == "observe"
	lib.says(reason, "observable")
	input.credential.disabled == false
}

waives(reason, _) if {
	some id in applying
	reason in data.local.exceptions[id].reasons
	lib.says(reason, "waivable")
}

# METADATA
# description: The ids of the exceptions without which a reason would refuse, sorted.
used(found) := [id |
	some id in applying
	some reason in data.local.exceptions[id].reasons
	reason in found
	lib.says(reason, "waivable")
]

# METADATA
# description: Exceptions whose end lies ahead and whose conditions hold. Each names owner, ticket, until, reasons and any of organizations, owners, tokens.
applying contains id if {
	some id, exception in data.local.exceptions
	exception.owner
	exception.ticket
	time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns(exception.until)
	holds(exception, "organizations", input.organization.name)
	holds(exception, "owners", input.token.owner.name)
	holds(exception, "tokens", input.token.id)
}

holds(exception, condition, _) if not exception[condition]

holds(exception, condition, value) if value in exception[condition]
