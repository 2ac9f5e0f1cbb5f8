package patrol.hygiene.not_rotated_test

import data.patrol.hygiene.not_rotated
import data.patrol.hygiene_fixtures_test as fixtures

old := fixtures.with_token({"created_at": "2025-06-01T12:00:00Z"})

test_an_old_secret if not_rotated.finding == {"age": 365} with input as old

test_at_the_threshold if {
	not_rotated.finding == {"age": 180} with input as fixtures.with_token({"created_at": "2025-12-03T12:00:00Z"})
	not not_rotated.finding with input as fixtures.with_token({"created_at": "2025-12-03T12:00:01Z"})
}

test_rotated_since if not not_rotated.finding with input as fixtures.with_token({"created_at": "2025-06-01T12:00:00Z", "rotated_at": "2026-05-01T12:00:00Z"})

test_a_threshold_of_the_overlay if not not_rotated.finding with input as old with data.local.findings as {"not_rotated": {"days": 400}}

test_what_opens_nothing_any_more if {
	not not_rotated.finding with input as object.union(old, {"authorization": {"state": "revoked"}})
	not not_rotated.finding with input as object.union(old, {"token": {"disabled": true}})
	not not_rotated.finding with input as object.union(old, {"token": {"expires_at": "2026-06-01T12:00:00Z"}})
}

test_an_identity_of_elsewhere if {
	not not_rotated.finding with input as fixtures.with_token({"created_at": "2025-06-01T12:00:00Z", "source": "jwt"})
}
