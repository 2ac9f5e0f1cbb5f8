# METADATA
# title: Permission
# description: What the route asks for must be among the token's rights and among the rights of its owner's role.
package patrol.checks.permission

import data.patrol.lib

reasons contains "insufficient_permission" if {
	lib.governed
	input.token
	input.membership
	not permitted
}

permitted if {
	lib.implied(lib.right("roles", input.membership.role), input.route.permission)
	token_allows
}

token_allows if {
	input.token.kind in {"read", "write"}
	lib.implied(lib.right("kinds", input.token.kind), input.route.permission)
}

token_allows if {
	input.token.kind == "fine-grained"
	some grant in usable
	covers(grant.entity)
	lib.implied(grant.permissions, input.route.permission)
}

# Where an approval is asked for, what was approved bounds what was granted. No
# else: without the fact what was granted must not take its place.
usable := input.authorization.effective if lib.approval_asked

usable := input.authorization.current if not lib.approval_asked

covers(entity) if {
	entity.type in {"organization", "user"}
	entity.id == input.organization.id
}

covers(entity) if {
	entity.type == input.route.resource.type
	entity.name == input.route.resource.name
	entity.namespace == input.organization.id
}
