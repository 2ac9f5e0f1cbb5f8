# METADATA
# title: Tests of admission
package patrol.admission_test

import data.patrol.fixtures_test.public
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

test_unmanaged if reason([set("/route/access", "unmanaged"), without("/token"), without("/credential"), without("/authorization"), without("/membership"), without("/organization")]) == "unmanaged"

test_unmanaged_is_told_before_what_is_waived if reason([set("/organization/enforcement", "observe"), set("/route/access", "unmanaged"), set("/token/expired", true)]) == "unmanaged"

test_public_without_credential if reason([set("/route/access", "public"), set("/credential/state", "missing"), without("/token")]) == "public"

test_public_with_token if reason([set("/route/access", "public")]) == "allowed"

test_authenticated if reason([set("/route/access", "authenticated"), without("/organization"), without("/authorization"), without("/membership")]) == "allowed"

test_public_read_without_credential if reason([public, set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "public"

test_user_namespace_has_no_policy if reason([without("/organization/token_policy"), set("/organization/type", "user"), set("/membership/role", "admin"), set("/token/kind", "write"), set("/route/permission", "repo.write")]) == "allowed"
