# METADATA
# title: Not rotated
# description: The secret is older than the threshold; rotating it under the same id ends the finding.
package patrol.hygiene.not_rotated

import data.patrol.hygiene

finding := {"age": age} if {
	hygiene.live
	not hygiene.elsewhere
	age := hygiene.days_since(made)
	age >= hygiene.setting("not_rotated", "days")
}

made := input.token.rotated_at if input.token.rotated_at

else := input.token.created_at
