# METADATA
# title: Tests of the policy allow_user_access_tokens
# description: Its row of the policy table, cell by cell.
package patrol.policies.allow_user_access_tokens_test

import data.patrol.fixtures_test.cells

test_every_token_may_be_used_until_it_is_revoked if {
	cells("allow_user_access_tokens") == {
		"read": {"none": "allowed", "approved": "allowed", "denied": "allowed", "revoked": "token_revoked"},
		"write": {"none": "allowed", "approved": "allowed", "denied": "allowed", "revoked": "token_revoked"},
		"fine-grained": {"none": "allowed", "approved": "allowed", "denied": "allowed", "revoked": "token_revoked"},
	}
}
