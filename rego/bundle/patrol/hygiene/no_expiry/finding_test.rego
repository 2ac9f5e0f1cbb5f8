package patrol.hygiene.no_expiry_test

import data.patrol.hygiene.no_expiry
import data.patrol.hygiene_fixtures_test as fixtures

endless := fixtures.without("token", "expires_at")

test_without_an_end if no_expiry.finding == {"age": 31} with input as endless

test_with_an_end if not no_expiry.finding with input as fixtures.quiet

test_just_made if not no_expiry.finding with input as object.union(endless, {"token": {"created_at": "2026-05-31T00:00:00Z"}})

test_an_identity_of_elsewhere if {
	every source in ["jwt", "introspection"] {
		not no_expiry.finding with input as object.union(endless, {"token": {"source": source}})
	}
}
