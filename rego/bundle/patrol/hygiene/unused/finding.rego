# METADATA
# title: Unused
# description: >-
#   No request of the token was allowed here for as long as the threshold says.
#   Nothing is found of a time from which no usage is known.
package patrol.hygiene.unused

import data.patrol.hygiene

finding := {"idle": idle} if {
	hygiene.live
	idle := min([hygiene.days_since(begin) | some begin in begins])
	idle >= hygiene.setting("unused", "days")
	input.usage.since
	input.token.created_at
}

# The token was idle since the latest of these.
begins contains input.usage.last_used_at

begins contains input.usage.since

begins contains input.token.created_at
