# METADATA
# title: Tests of a denial before its policy
package patrol.checks.denial_test

import data.patrol.fixtures_test.dated
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set

test_denied_binds_before_its_policy if reason(array.concat(dated("require_administrator_approval"), [set("/authorization/state", "denied")])) == "approval_denied"

test_denied_sleeps_otherwise if reason([set("/authorization/state", "denied")]) == "allowed"
