package patrol.hygiene.used_after_revocation_test

import data.patrol.hygiene.used_after_revocation
import data.patrol.hygiene_fixtures_test as fixtures

refused(reason) := {"refused": [{"reason": reason, "count": 5, "last_at": "2026-05-30T11:00:00Z"}]}

test_after_a_revocation if {
	input_revoked := object.union(fixtures.with_authorization({"state": "revoked"}), {"usage": refused("token_revoked")})
	used_after_revocation.finding == {"how": "revoked", "requests": 5, "last": "2026-05-30"} with input as input_revoked
}

test_after_it_was_disabled if {
	used_after_revocation.finding == {"how": "disabled", "requests": 5, "last": "2026-05-30"} with input as fixtures.with_usage(refused("token_disabled"))
}

test_after_a_rotation if {
	used_after_revocation.finding == {"how": "rotated", "requests": 1, "last": "2026-05-29"} with input as fixtures.with_token({"reused_at": "2026-05-29T10:00:00Z"})
	not used_after_revocation.finding with input as fixtures.with_token({"reused_at": "2026-03-29T10:00:00Z"})
}

test_not_used if not used_after_revocation.finding with input as fixtures.with_authorization({"state": "revoked"})
