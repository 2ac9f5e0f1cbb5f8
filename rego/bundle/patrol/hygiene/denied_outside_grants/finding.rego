# METADATA
# title: Denied outside its grants
# description: The token keeps asking for what it may not; it is misconfigured, or somebody tries what it opens.
package patrol.hygiene.denied_outside_grants

import data.patrol.hygiene

finding := {"requests": requests, "days": hygiene.setting("denied_outside_grants", "days")} if {
	hygiene.live
	requests := sum([row.count | some row in hygiene.refused("denied_outside_grants", {"insufficient_permission", "no_grant"})])
	requests >= hygiene.setting("denied_outside_grants", "requests")
}
