# METADATA
# title: Owner gone
# description: The token has grants here, or was decided on, and its owner is no member of the organization.
package patrol.hygiene.owner_gone

import data.patrol.hygiene

finding := {"owner": input.token.owner.name} if {
	hygiene.live
	input.organization.type == "organization"
	not input.membership
}
