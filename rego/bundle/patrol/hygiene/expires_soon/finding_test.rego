package patrol.hygiene.expires_soon_test

import data.patrol.hygiene.expires_soon
import data.patrol.hygiene_fixtures_test as fixtures

soon := fixtures.with_token({"expires_at": "2026-06-08T12:00:00Z"})

test_soon if expires_soon.finding == {"left": 7, "used": 0} with input as soon

test_on_its_last_day if expires_soon.finding == {"left": 1, "used": 0} with input as fixtures.with_token({"expires_at": "2026-06-01T18:00:00Z"})

test_not_yet if not expires_soon.finding with input as fixtures.quiet

test_over if not expires_soon.finding with input as fixtures.with_token({"expires_at": "2026-06-01T12:00:00Z"})

test_without_an_end if not expires_soon.finding with input as fixtures.without("token", "expires_at")

test_nobody_uses_it if not expires_soon.finding with input as object.union(soon, {"usage": {"last_used_at": "2026-04-01T12:00:00Z"}})
