# METADATA
# title: Tests of the decision
# description: The policy table cell by cell, and how reasons, waivers and allows come together.
package patrol.authz_test

import data.patrol.authz
import data.patrol.checks.permission_test.model
import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.cells
import data.patrol.fixtures_test.dated
import data.patrol.fixtures_test.decided
import data.patrol.fixtures_test.patched
import data.patrol.fixtures_test.public
import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.waivers_test.observe

# --- the policy table: a row beside each policy, and all of it here

names := {"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}

test_all_48_cells_of_the_policy_table if {
	table := {[name, kind, state]: cell | some name in names; some kind, states in cells(name); some state, cell in states}
	count(table) == 48
	count([1 | some cell in table; data.patrol.catalogue[cell].allow]) == 16
}

# --- requests

test_widened_grants_ask_again if {
	d := decided([approval, set("/authorization/state", "approved"), set("/authorization/expired", false), set("/authorization/grants", model("acme/m")), set("/authorization/effective", model("acme/m"))])
	d.allowed
	d.reason == "approved"
	d.request_approval
}

# Whatever the effective grants say: what is approved is not asked for again.
test_approved_grants_are_not_asked_for_again if {
	d := decided([
		approval,
		set("/authorization/state", "approved"),
		set("/authorization/expired", false),
		set("/authorization/grants", data.patrol.fixtures_test.request.authorization.current),
		set("/authorization/effective", []),
	])
	not d.request_approval
}

# --- public resources

test_public_read_of_pending_token_is_anonymous if {
	d := decided([public, approval])
	d.allowed
	d.reason == "anonymous"
	d.anonymous
}

test_public_read_of_revoked_token_is_refused if reason([public, set("/authorization/state", "revoked")]) == "token_revoked"

test_public_read_can_be_refused if reason([public, approval, set("/organization/settings/public_read", "refuse")]) == "approval_pending"

test_public_write_of_pending_token_is_refused if reason([public, approval, set("/route/permission", "repo.write")]) == "approval_pending"

test_observe_still_opens_requests if decided([observe, approval]).request_approval

# --- a dated policy

test_grace_period if {
	d := decided(array.concat(dated("only_fine_grained_tokens"), [set("/token/kind", "write")]))
	d.reason == "grace_period"
	d.next == ["token_type_not_allowed"]
}

test_grace_period_opens_requests if decided(dated("require_administrator_approval")).request_approval

# --- composition

test_overlay_answer_adds_keys if {
	d := authz.decision with input as patched([]) with data.local.answer as {"headers": {"x-tier": "gold"}, "allowed": false}
	d.allowed
	d.headers["x-tier"] == "gold"
}

test_every_reason_is_told_in_order if {
	d := decided([approval, set("/token/expired", true), set("/route/permission", "org.write")])
	d.reasons == ["token_expired", "approval_pending", "insufficient_permission"]
}

test_catalogue_and_order_agree if {
	every reason in data.patrol.order {
		data.patrol.catalogue[reason].http_status
	}
}
