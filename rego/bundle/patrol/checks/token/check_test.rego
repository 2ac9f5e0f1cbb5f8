# METADATA
# title: Tests of the token
package patrol.checks.token_test

import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

test_unknown_token if reason([without("/token"), without("/authorization"), without("/membership")]) == "token_unknown"

test_expired_token if reason([set("/token/expired", true)]) == "token_expired"

test_public_with_unknown_token if reason([set("/route/access", "public"), without("/token")]) == "token_unknown"
