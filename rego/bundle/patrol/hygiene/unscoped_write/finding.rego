# METADATA
# title: Unscoped, may write
# description: The token may write to whatever its owner may write to.
package patrol.hygiene.unscoped_write

import data.patrol.hygiene

finding := {"owner": input.token.owner.name} if {
	hygiene.live
	input.token.kind == "write"
	input.membership.role in {"admin", "write", "contributor"}
}
