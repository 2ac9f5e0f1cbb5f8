# METADATA
# title: No expiry
# description: The token never ends, and is older than the threshold, so that one made for a moment is not told.
package patrol.hygiene.no_expiry

import data.patrol.hygiene

finding := {"age": age} if {
	hygiene.live
	not hygiene.elsewhere
	not input.token.expires_at
	age := hygiene.days_since(input.token.created_at)
	age >= hygiene.setting("no_expiry", "days")
}
