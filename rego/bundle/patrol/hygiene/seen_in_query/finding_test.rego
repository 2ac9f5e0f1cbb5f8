package patrol.hygiene.seen_in_query_test

import data.patrol.hygiene.seen_in_query
import data.patrol.hygiene_fixtures_test as fixtures

leaked := fixtures.with_usage({"refused": [
	{"reason": "seen_in_query", "count": 2, "last_at": "2026-05-30T11:00:00Z"},
	{"reason": "seen_in_query", "count": 1, "last_at": "2026-05-28T11:00:00Z"},
]})

test_seen if seen_in_query.finding == {"requests": 3, "last": "2026-05-30"} with input as leaked

test_rotated_since if not seen_in_query.finding with input as object.union(leaked, {"token": {"rotated_at": "2026-05-31T00:00:00Z"}})

test_not_seen if not seen_in_query.finding with input as fixtures.quiet
