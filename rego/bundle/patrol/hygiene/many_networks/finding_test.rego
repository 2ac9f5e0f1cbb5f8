package patrol.hygiene.many_networks_test

import data.patrol.hygiene.many_networks
import data.patrol.hygiene_fixtures_test as fixtures

networks(n, last_at) := [{"network": sprintf("10.0.%d.0/24", [i]), "last_at": last_at} | some i in numbers.range(1, n)]

test_many if many_networks.finding == {"networks": 20, "days": 7} with input as fixtures.with_usage({"networks": networks(20, "2026-05-30T11:00:00Z")})

test_few if not many_networks.finding with input as fixtures.with_usage({"networks": networks(19, "2026-05-30T11:00:00Z")})

test_long_ago if not many_networks.finding with input as fixtures.with_usage({"networks": networks(50, "2026-05-20T11:00:00Z")})
