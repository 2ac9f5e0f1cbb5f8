# METADATA
# title: Tests of the policy in force
package patrol.token_policy_test

import data.patrol.authz
import data.patrol.fixtures_test.dated
import data.patrol.fixtures_test.decided
import data.patrol.fixtures_test.patched
import data.patrol.fixtures_test.set

test_an_unknown_policy_decides_nothing if not decided([set("/organization/token_policy", "nonsense")])

test_a_policy_of_the_overlay_is_dispatched_by_name if {
	d := authz.decision with input as patched([set("/organization/token_policy", "office_hours")])
		with data.local.policies.office_hours.reasons as {"closed"}
		with data.local.catalogue.closed as {"http_status": 403}
	d.reason == "closed"
	d.reasons == ["closed"]
}

test_an_approval_policy_of_the_overlay if {
	d := authz.decision with input as patched([set("/organization/token_policy", "own"), set("/authorization/state", "approved")])
		with data.local.policies.own as {"reasons": set(), "requires_approval": true}
	d.reason == "approved"
}

test_next_policy_of_the_overlay if {
	d := authz.decision with input as patched(dated("own")) with data.local.policies.own.reasons as {"policy_denied"}
	d.next == ["policy_denied"]
}

test_a_policy_without_a_date_is_no_fact if not decided([set("/organization/next_token_policy", "only_fine_grained_tokens")])
