# METADATA
# title: Tests of grants
package patrol.checks.grant_test

import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.decided
import data.patrol.fixtures_test.set

test_no_grant_opens_no_request if {
	d := decided([approval, set("/authorization/current", []), set("/authorization/effective", [])])
	d.reason == "no_grant"
	not d.request_approval
}
