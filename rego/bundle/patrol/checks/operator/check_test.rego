# METADATA
# title: Tests of the operator's own policies
package patrol.checks.operator_test

import data.patrol.authz
import data.patrol.fixtures_test.patched

test_operators_boolean if {
	d := authz.decision with input as patched([]) with data.local.deny as true
	d.reason == "policy_denied"
}

test_operators_check if {
	d := authz.decision with input as patched([]) with data.local.checks.hours.reasons as {"policy_denied"}
	d.reason == "policy_denied"
}
