# METADATA
# title: Seen in a query string
# description: The token's secret was sent where logs, proxies and browsers keep it. Rotating it ends the finding.
package patrol.hygiene.seen_in_query

import data.patrol.hygiene

finding := {"requests": sum([row.count | some row in rows]), "last": hygiene.last_day(rows)} if {
	hygiene.live
	count(rows) > 0
}

rows := [row |
	some row in hygiene.refused("seen_in_query", {"seen_in_query"})
	not rotated_since(row.last_at)
]

rotated_since(last_at) if time.parse_rfc3339_ns(input.token.rotated_at) > time.parse_rfc3339_ns(last_at)
