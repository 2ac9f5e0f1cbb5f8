# METADATA
# title: Organization and membership
# description: The organization must exist and the token's owner belong to it. Outside both look alike, so that names can't be enumerated.
package patrol.checks.organization

import data.patrol.lib

reasons contains "organization_unknown" if {
	lib.governed
	not input.organization
}

reasons contains "owner_not_member" if {
	lib.governed
	input.token
	input.organization
	not input.membership
}
