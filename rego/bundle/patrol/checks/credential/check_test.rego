# METADATA
# title: Tests of the credential
package patrol.checks.credential_test

import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

test_no_credential if reason([set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "credential_missing"
