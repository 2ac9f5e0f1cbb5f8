# METADATA
# title: Tests of the policy require_administrator_approval
# description: Its row of the policy table, cell by cell.
package patrol.policies.require_administrator_approval_test

import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.cells
import data.patrol.fixtures_test.decided
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set

test_fine_grained_tokens_with_an_approval if {
	cells("require_administrator_approval") == {
		"read": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"write": {"none": "token_type_not_allowed", "approved": "token_type_not_allowed", "denied": "token_type_not_allowed", "revoked": "token_revoked"},
		"fine-grained": {"none": "approval_pending", "approved": "approved", "denied": "approval_denied", "revoked": "token_revoked"},
	}
}

test_unscoped_tokens_never_come_by_an_approval if reason([approval, set("/token/kind", "write"), set("/authorization/admin_created", true)]) == "token_type_not_allowed"

test_admin_created_tokens_need_no_approval if reason([approval, set("/authorization/admin_created", true)]) == "admin_created"

test_four_eyes_exempt_nobody if reason([approval, set("/authorization/admin_created", true), set("/organization/settings/four_eyes", true)]) == "approval_pending"

test_an_approval_ends if {
	d := decided([approval, set("/authorization/state", "approved"), set("/authorization/expired", true)])
	d.reason == "approval_pending"
	d.request_approval
}
