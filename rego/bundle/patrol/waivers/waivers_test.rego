# METADATA
# title: Tests of waivers
package patrol.waivers_test

import data.patrol.authz
import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.decided
import data.patrol.fixtures_test.patched
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.scoped
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

observe := set("/organization/enforcement", "observe")

test_observe_waives_the_policy if {
	d := decided([observe, scoped, set("/token/kind", "write")])
	d.allowed
	d.reason == "observed"
	d.reasons == ["token_type_not_allowed"]
}

test_observe_waives_an_unknown_token if reason([observe, without("/token"), without("/authorization"), without("/membership")]) == "observed"

test_observe_waives_a_missing_credential if reason([observe, set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "observed"

test_observe_waives_a_strangers_token if reason([observe, without("/membership")]) == "observed"

test_observe_never_waives_revoked if reason([observe, set("/authorization/state", "revoked")]) == "token_revoked"

test_observe_never_waives_suspended if reason([observe, set("/authorization/suspended", true)]) == "token_suspended"

test_observe_never_waives_denied if reason([observe, approval, set("/authorization/state", "denied")]) == "approval_denied"

test_observe_never_waives_disabled if reason([observe, without("/token"), without("/authorization"), without("/membership"), set("/credential/disabled", true)]) == "token_unknown"

exception(until, more) := {"ci": object.union({"reasons": ["token_type_not_allowed", "token_revoked"], "owner": "eve", "ticket": "SEC-1", "until": until}, more)}

excepted(exceptions, patches) := d if {
	d := authz.decision with input as patched(array.concat([scoped, set("/token/kind", "write")], patches)) with data.local.exceptions as exceptions
}

test_exception if {
	d := excepted(exception("2026-12-01T00:00:00Z", {"owners": ["bob"]}), [])
	d.reason == "exception"
	d.exception == "ci"
}

test_exception_ends if excepted(exception("2026-11-24T12:00:00Z", {}), []).reason == "token_type_not_allowed"

test_exception_for_others if excepted(exception("2026-12-01T00:00:00Z", {"owners": ["eve"]}), []).reason == "token_type_not_allowed"

test_exception_never_waives_revoked if excepted(exception("2026-12-01T00:00:00Z", {}), [set("/authorization/state", "revoked")]).reason == "token_revoked"
