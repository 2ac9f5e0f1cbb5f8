package patrol.hygiene.denied_outside_grants_test

import data.patrol.hygiene.denied_outside_grants
import data.patrol.hygiene_fixtures_test as fixtures

refused(reason, count, last_at) := {"reason": reason, "count": count, "last_at": last_at}

today := "2026-06-01T11:00:00Z"

test_many if {
	found := denied_outside_grants.finding with input as fixtures.with_usage({"refused": [
		refused("insufficient_permission", 6, today),
		refused("no_grant", 4, "2026-05-30T11:00:00Z"),
	]})
	found == {"requests": 10, "days": 7}
}

test_few if not denied_outside_grants.finding with input as fixtures.with_usage({"refused": [refused("no_grant", 9, today)]})

test_long_ago if not denied_outside_grants.finding with input as fixtures.with_usage({"refused": [refused("no_grant", 99, "2026-05-20T11:00:00Z")]})

test_for_other_reasons if not denied_outside_grants.finding with input as fixtures.with_usage({"refused": [refused("approval_pending", 99, today)]})
