# METADATA
# title: Tests of organization and membership
package patrol.checks.organization_test

import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.without

test_unknown_organization if reason([without("/organization"), without("/authorization"), without("/membership")]) == "organization_unknown"

test_owner_left if reason([without("/membership")]) == "owner_not_member"
