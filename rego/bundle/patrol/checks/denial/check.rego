# METADATA
# title: A denial before its policy
# description: A denial binds as soon as the next, dated policy asks for approval; under a policy that does not, it sleeps.
package patrol.checks.denial

import data.patrol.lib

reasons contains "approval_denied" if {
	input.authorization.state == "denied"
	lib.requires_approval(input.organization.next_token_policy)
}
