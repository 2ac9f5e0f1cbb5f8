# METADATA
# title: Admission
# description: >-
#   The facts that must be there before anything is allowed. An absent fact makes
#   rules undefined, so "no reason to refuse was found" would let an unknown
#   policy or a missing state slip through.
package patrol.admission

import data.patrol.lib
import data.patrol.token_policy

granted if input.route.access == "unmanaged"

granted if {
	input.route.access == "public"
	input.credential.state == "missing"
}

granted if {
	input.route.access in {"public", "authenticated"}
	authenticated
}

# A member's token on an organization or in its owner's namespace.
granted if {
	lib.governed
	authenticated
	input.membership.role
	input.route.permission
	untouched
	ruled
}

# Nobody's credential on a public resource.
granted if {
	lib.public_read
	input.credential.state == "missing"
	ruled
}

# An organization that only observes.
granted if {
	lib.governed
	input.organization.enforcement == "observe"
	input.route.permission
	input.credential.disabled == false
	recognized
	ruled
}

# A token without authorization facts, or facts without a token, is not judged.
recognized if {
	input.token.kind in {"read", "write", "fine-grained"}
	untouched
}

recognized if {
	not input.token
	not input.authorization
	input.credential.state in {"present", "missing"}
}

authenticated if {
	input.credential.state == "present"
	input.token.kind in {"read", "write", "fine-grained"}
	input.token.expired == false
}

untouched if {
	input.authorization.state in {"none", "approved", "denied"}
	input.authorization.suspended == false
}

ruled if input.organization.type == "user"

ruled if {
	input.organization.type == "organization"
	token_policy.known
	token_policy.dated_well
}

# METADATA
# description: A token that could read a public resource if it were not sent.
public_reader if {
	lib.public_read
	authenticated
	untouched
	ruled
}
