package patrol.hygiene.unscoped_write_test

import data.patrol.hygiene.unscoped_write
import data.patrol.hygiene_fixtures_test as fixtures

write := fixtures.with_token({"kind": "write"})

test_a_write_token if unscoped_write.finding == {"owner": "bob"} with input as write

test_others if {
	not unscoped_write.finding with input as fixtures.quiet
	not unscoped_write.finding with input as fixtures.with_token({"kind": "read"})
}

test_an_owner_who_may_only_read if not unscoped_write.finding with input as object.union(write, {"membership": {"role": "read"}})

test_an_owner_who_is_no_member if not unscoped_write.finding with input as object.remove(write, ["membership"])
