package patrol.hygiene.owner_gone_test

import data.patrol.hygiene.owner_gone
import data.patrol.hygiene_fixtures_test as fixtures

gone := object.remove(fixtures.quiet, ["membership"])

test_gone if owner_gone.finding == {"owner": "bob"} with input as gone

test_a_member if not owner_gone.finding with input as fixtures.quiet

test_revoked_already if not owner_gone.finding with input as object.union(gone, {"authorization": {"state": "revoked"}})
