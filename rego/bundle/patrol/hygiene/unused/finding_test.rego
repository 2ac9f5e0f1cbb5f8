package patrol.hygiene.unused_test

import data.patrol.hygiene.unused
import data.patrol.hygiene_fixtures_test as fixtures

old := object.union(fixtures.quiet, {"token": {"created_at": "2025-01-01T00:00:00Z"}})

test_idle_since_its_last_use if unused.finding == {"idle": 120} with input as object.union(old, {"usage": {"last_used_at": "2026-02-01T12:00:00Z"}})

never := object.union(object.remove(old, ["usage"]), {"usage": object.remove(fixtures.quiet.usage, ["last_used_at"])})

test_never_used_since_usage_is_known if unused.finding == {"idle": 151} with input as never

test_usage_is_not_known_for_long_enough if {
	not unused.finding with input as object.union(never, {"usage": {"since": "2026-05-20T00:00:00Z"}})
	not unused.finding with input as object.remove(never, ["usage"])
}

test_a_new_token if not unused.finding with input as object.union(never, {"token": {"created_at": "2026-05-20T00:00:00Z"}})

test_in_use if not unused.finding with input as old

test_revoked if not unused.finding with input as object.union(never, {"authorization": {"state": "revoked"}})
