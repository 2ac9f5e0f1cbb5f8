# METADATA
# title: Tests of no route
package patrol.checks.route_test

import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.without

test_no_route if reason([without("/route")]) == "route_unknown"
