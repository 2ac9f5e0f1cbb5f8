# METADATA
# title: Nobody responsible
# description: The token is a service account's for which nobody answers in the organization.
package patrol.hygiene.nobody_responsible

import data.patrol.hygiene

finding := {"owner": input.token.owner.name} if {
	hygiene.live
	input.organization.type == "organization"
	input.token.owner.type == "service_account"
	count(object.get(input.token.owner, "responsible", [])) == 0
}
