# METADATA
# title: Tests of the shared words of findings
# description: Whole days, what is live, and what was refused of late.
package patrol.hygiene_test

import data.patrol.hygiene
import data.patrol.hygiene_fixtures_test.quiet
import data.patrol.hygiene_fixtures_test.with_authorization
import data.patrol.hygiene_fixtures_test.with_token
import data.patrol.hygiene_fixtures_test.with_usage

days(time_text) := n if n := hygiene.days_since(time_text) with input as quiet

test_days_are_whole_ones if {
	days("2026-05-31T12:00:00Z") == 1
	days("2026-05-31T12:00:01Z") == 0
	days("2026-06-01T12:00:01Z") == -1
	days("2026-06-03T00:00:00Z") == -2
}

live(document) if hygiene.live with input as document

test_live_is_what_can_still_be_used if {
	live(quiet)
	not live(with_token({"expires_at": "2026-06-01T12:00:00Z"}))
	live(with_token({"expires_at": "2026-06-01T12:00:01Z"}))
	not live(with_token({"disabled": true}))
	not live(with_authorization({"state": "revoked"}))
	live(with_authorization({"suspended": true}))
	not live(object.remove(quiet, ["token"]))
}

test_refusals_of_late_with_one_of_the_reasons if {
	rows := [
		{"reason": "no_grant", "last_at": "2026-05-31T12:00:00Z"},
		{"reason": "no_grant", "last_at": "2025-05-31T12:00:00Z"},
		{"reason": "token_expired", "last_at": "2026-05-31T12:00:00Z"},
	]
	found := hygiene.refused("denied_outside_grants", {"no_grant"}) with input as with_usage({"refused": rows})
	found == [rows[0]]
	hygiene.last_day(rows) == "2026-05-31"
}

test_a_setting_of_the_overlay_comes_first if {
	days := hygiene.setting("not_rotated", "days")
	days != 7
	hygiene.setting("not_rotated", "days") == 7 with data.local.findings as {"not_rotated": {"days": 7}}
	hygiene.setting("not_rotated", "severity") == data.patrol.findings.catalogue.not_rotated.severity with data.local.findings as {"not_rotated": {"days": 7}}
}
