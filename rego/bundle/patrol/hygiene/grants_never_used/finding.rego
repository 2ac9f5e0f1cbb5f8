# METADATA
# title: Grants never used
# description: >-
#   The token is used, and some of its permissions here are not. The details name
#   them, and the narrower grants that would do: for each entity the permissions
#   that were asked for, be it directly or by what implies them.
package patrol.hygiene.grants_never_used

import data.patrol.hygiene
import data.patrol.lib

finding := {"unused": unused, "narrower": narrower, "count": sum([count(g.permissions) | some g in unused]), "days": days} if {
	hygiene.live
	input.token.kind == "fine-grained"
	days := hygiene.setting("grants_never_used", "days")
	hygiene.days_since(input.token.created_at) >= days
	hygiene.days_since(input.usage.since) >= days
	count(narrower) > 0
	count(unused) > 0
}

unused := [{"entity": grant.entity, "permissions": idle} |
	some grant in input.token.grants
	idle := [permission | some permission in grant.permissions; not permission in used(grant)]
	count(idle) > 0
]

narrower := [{"entity": grant.entity, "permissions": sort(used(grant))} |
	some grant in input.token.grants
	count(used(grant)) > 0
]

# The permissions for which a grant was needed.
used(grant) := {row.permission |
	some row in input.usage.allowed
	hygiene.recent("grants_never_used", row.last_at)
	covers(grant.entity, row)
	lib.implied(grant.permissions, row.permission)
}

covers(entity, _) if entity.type == "organization"

covers(entity, row) if {
	entity.type == row.resource_type
	entity.name == row.resource
}

# Resources that were too many to keep apart: any of them may be this one.
covers(_, row) if row.resource == "*"
