# METADATA
# title: Tests of the shared words
package patrol.lib_test

import data.patrol.authz
import data.patrol.fixtures_test.patched
import data.patrol.waivers_test.excepted
import data.patrol.waivers_test.exception

test_overlay_rights_win if {
	d := authz.decision with input as patched([]) with data.local.rights as {"roles": {"write": []}}
	d.reason == "insufficient_permission"
}

test_rights_that_are_gone_grant_nothing if {
	d := authz.decision with input as patched([]) with data.patrol.rights as {}
	d.reason == "insufficient_permission"
}

test_overlay_catalogue_decides_what_is_waivable if {
	d := excepted(exception("2026-12-01T00:00:00Z", {}), []) with data.local.catalogue as {"token_type_not_allowed": {"http_status": 403, "waivable": false}}
	d.reason == "token_type_not_allowed"
}

test_overlay_sentence_leaves_what_is_waivable if {
	d := excepted(exception("2026-12-01T00:00:00Z", {}), []) with data.local.catalogue as {"token_type_not_allowed": {"sentence": "Ask the help desk"}}
	d.reason == "exception"
}
