# METADATA
# title: Expires soon
# description: A token that is in use ends within the threshold, and with it what depends on it.
package patrol.hygiene.expires_soon

import data.patrol.hygiene

finding := {"left": left, "used": used} if {
	hygiene.live
	left := 0 - hygiene.days_since(input.token.expires_at)
	left <= hygiene.setting("expires_soon", "days")
	used := hygiene.days_since(input.usage.last_used_at)
	used < 30
}
