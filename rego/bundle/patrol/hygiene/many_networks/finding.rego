# METADATA
# title: Used from many networks
# description: The token comes from more networks than one client has; it is shared, or has leaked.
package patrol.hygiene.many_networks

import data.patrol.hygiene

finding := {"networks": networks, "days": hygiene.setting("many_networks", "days")} if {
	hygiene.live
	networks := count([row | some row in input.usage.networks; hygiene.recent("many_networks", row.last_at)])
	networks >= hygiene.setting("many_networks", "networks")
}
