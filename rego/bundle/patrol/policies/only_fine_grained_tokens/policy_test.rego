# METADATA
# title: Tests of the policy only_fine_grained_tokens
# description: Its row of the policy table, cell by cell.
package patrol.policies.only_fine_grained_tokens_test

import data.patrol.fixtures_test.cells

test_fine_grained_tokens_only if {
	cells("only_fine_grained_tokens") == {
		"read": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"write": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"fine-grained": {"none": "allowed", "approved": "allowed", "denied": "allowed", "revoked": "token_revoked"},
	}
}
