# METADATA
# title: Tests of the policy do_not_require_administrator_approval
# description: Its row of the policy table, cell by cell.
package patrol.policies.do_not_require_administrator_approval_test

import data.patrol.fixtures_test.cells

test_fine_grained_tokens_without_an_approval if {
	cells("do_not_require_administrator_approval") == {
		"read": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"write": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"fine-grained": {"none": "allowed", "approved": "allowed", "denied": "allowed", "revoked": "token_revoked"},
	}
}
