# METADATA
# title: Require administrator approval
# description: An administrator of the organization approves every fine-grained token, except those that an administrator made (none are excepted where approvals need two people); read and write tokens are refused.
# custom:
#   unscoped: Unauthorized
#   fine_grained: Unauthorized without an approval (except for admin-created)
package patrol.policies.require_administrator_approval

reasons contains "token_type_not_allowed" if input.token.kind in {"read", "write"}

reasons contains "approval_denied" if {
	input.token.kind == "fine-grained"
	input.authorization.state == "denied"
}

reasons contains "approval_pending" if {
	input.token.kind == "fine-grained"
	not input.authorization.state in {"denied", "revoked"}
	not approved
	not exempt
}

approved if {
	input.authorization.state == "approved"
	input.authorization.expired == false
}

exempt if {
	input.authorization.state == "none"
	input.authorization.admin_created == true
	input.organization.settings.four_eyes == false
}

requires_approval := true
