# METADATA
# title: Tests of revoked or suspended
package patrol.checks.revocation_test

import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set

test_revoked_wins_over_policy if reason([approval, set("/authorization/state", "revoked")]) == "token_revoked"

test_suspended_under_every_policy if reason([set("/authorization/suspended", true)]) == "token_suspended"
