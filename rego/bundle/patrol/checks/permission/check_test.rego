# METADATA
# title: Tests of the permission
package patrol.checks.permission_test

import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

test_role_bounds_the_token if reason([set("/membership/role", "read"), set("/route/permission", "repo.write")]) == "insufficient_permission"

test_write_implies_read if reason([set("/route/permission", "repo.content.read")]) == "allowed"

test_read_token_cannot_write if reason([set("/token/kind", "read"), set("/route/permission", "repo.write")]) == "insufficient_permission"

test_write_token_can_write if reason([set("/token/kind", "write"), set("/route/permission", "repo.write")]) == "allowed"

test_unknown_permission_grants_nothing if reason([set("/authorization/current", [{"entity": {"type": "organization", "id": "o1", "name": "acme", "namespace": "o1"}, "permissions": ["made.up"]}])]) == "insufficient_permission"

model(name) := [{"entity": {"type": "model", "name": name, "namespace": "o1"}, "permissions": ["repo.content.read"]}]

test_grant_on_the_resource if reason([set("/authorization/current", model("acme/m"))]) == "allowed"

test_grant_on_another_resource if reason([set("/authorization/current", model("acme/n"))]) == "insufficient_permission"

test_approved_grants_bound_current_ones if reason([approval, set("/authorization/state", "approved"), set("/authorization/expired", false), set("/authorization/effective", model("acme/n"))]) == "insufficient_permission"

test_grant_on_the_users_own_namespace if reason([without("/organization/token_policy"), set("/organization/type", "user"), set("/membership/role", "admin"), set("/authorization/current", [{"entity": {"type": "user", "id": "o1", "name": "bob", "namespace": "o1"}, "permissions": ["repo.content.read"]}])]) == "allowed"
