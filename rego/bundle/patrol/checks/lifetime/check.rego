# METADATA
# title: Lifetime
# description: An organization may limit the age of a token and how long it still lives (settings max_token_age_days, max_token_lifetime_days, where 0 is no limit).
package patrol.checks.lifetime

import data.patrol.lib

reasons contains "lifetime_exceeded" if {
	lib.governed
	input.token
	input.organization.type == "organization"
	not within
}

within if {
	young
	ending
}

day := 86400

young if input.organization.settings.max_token_age_days == 0

young if input.token.age_seconds <= input.organization.settings.max_token_age_days * day

ending if input.organization.settings.max_token_lifetime_days == 0

ending if input.token.remaining_seconds <= input.organization.settings.max_token_lifetime_days * day
