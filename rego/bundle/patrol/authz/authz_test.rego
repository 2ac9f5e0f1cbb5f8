# METADATA
# title: Tests of the decision
# description: The policy table cell by cell, then each reason, waiver and allow.
package patrol.authz_test

import data.patrol.authz
import data.patrol.fixtures_test.approval
import data.patrol.fixtures_test.patched
import data.patrol.fixtures_test.scoped
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

decide(patches) := d if d := authz.decision with input as patched(patches)

reason(patches) := decide(patches).reason

# --- the policy table: policy, kind, state -> reason

unscoped := {"read", "write"}

strict_policies := {"only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}

cell(policy, kind, state) := reason([
	set("/organization/token_policy", policy),
	set("/token/kind", kind),
	set("/authorization/state", state),
	set("/authorization/expired", false),
	set("/authorization/grants", data.patrol.fixtures_test.request.authorization.current),
])

wanted(_, _, "revoked") := "token_revoked"

wanted("allow_user_access_tokens", _, state) := "allowed" if state != "revoked"

wanted(policy, kind, state) := "token_type_not_allowed" if {
	policy in strict_policies
	kind in unscoped
	state != "revoked"
}

wanted(policy, "fine-grained", state) := "allowed" if {
	policy in {"only_fine_grained_tokens", "do_not_require_administrator_approval"}
	state != "revoked"
}

wanted("require_administrator_approval", "fine-grained", "none") := "approval_pending"

wanted("require_administrator_approval", "fine-grained", "approved") := "approved"

wanted("require_administrator_approval", "fine-grained", "denied") := "approval_denied"

cells := {[policy, kind, state] |
	some policy in (strict_policies | {"allow_user_access_tokens"})
	some kind in {"read", "write", "fine-grained"}
	some state in {"none", "approved", "denied", "revoked"}
}

test_all_48_cells_of_the_policy_table if {
	count(cells) == 48
	every c in cells {
		cell(c[0], c[1], c[2]) == wanted(c[0], c[1], c[2])
	}
}

test_unscoped_tokens_never_come_by_an_approval if reason([approval, set("/token/kind", "write"), set("/authorization/admin_created", true)]) == "token_type_not_allowed"

test_admin_created_tokens_need_no_approval if reason([approval, set("/authorization/admin_created", true)]) == "admin_created"

test_four_eyes_exempt_nobody if reason([approval, set("/authorization/admin_created", true), set("/organization/settings/four_eyes", true)]) == "approval_pending"

test_an_approval_ends if {
	d := decide([approval, set("/authorization/state", "approved"), set("/authorization/expired", true)])
	d.reason == "approval_pending"
	d.request_approval
}

test_an_unknown_policy_decides_nothing if not decide([set("/organization/token_policy", "nonsense")])

test_a_policy_of_the_overlay_is_dispatched_by_name if {
	d := authz.decision with input as patched([set("/organization/token_policy", "office_hours")])
		with data.local.policies.office_hours.reasons as {"closed"}
		with data.local.catalogue.closed as {"http_status": 403}
	d.reason == "closed"
	d.reasons == ["closed"]
}

test_an_approval_policy_of_the_overlay if {
	d := authz.decision with input as patched([set("/organization/token_policy", "own"), set("/authorization/state", "approved")])
		with data.local.policies.own as {"reasons": set(), "requires_approval": true}
	d.reason == "approved"
}

# --- reasons one by one

test_no_route if reason([without("/route")]) == "route_unknown"

test_no_credential if reason([set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "credential_missing"

test_unknown_token if reason([without("/token"), without("/authorization"), without("/membership")]) == "token_unknown"

test_expired_token if reason([set("/token/expired", true)]) == "token_expired"

test_unknown_organization if reason([without("/organization"), without("/authorization"), without("/membership")]) == "organization_unknown"

test_owner_left if reason([without("/membership")]) == "owner_not_member"

test_revoked_wins_over_policy if reason([approval, set("/authorization/state", "revoked")]) == "token_revoked"

test_suspended_under_every_policy if reason([set("/authorization/suspended", true)]) == "token_suspended"

test_no_grant_opens_no_request if {
	d := decide([approval, set("/authorization/current", []), set("/authorization/effective", [])])
	d.reason == "no_grant"
	not d.request_approval
}

test_too_old if reason([set("/organization/settings/max_token_age_days", 9)]) == "lifetime_exceeded"

test_old_enough if reason([set("/organization/settings/max_token_age_days", 10)]) == "allowed"

test_lives_too_long if reason([set("/organization/settings/max_token_lifetime_days", 9)]) == "lifetime_exceeded"

test_lives_short_enough if reason([set("/organization/settings/max_token_lifetime_days", 10)]) == "allowed"

test_no_end_where_one_is_asked_for if reason([set("/organization/settings/max_token_lifetime_days", 9), without("/token/remaining_seconds")]) == "lifetime_exceeded"

test_operators_boolean if {
	d := authz.decision with input as patched([]) with data.local.deny as true
	d.reason == "policy_denied"
}

test_operators_check if {
	d := authz.decision with input as patched([]) with data.local.checks.hours.reasons as {"policy_denied"}
	d.reason == "policy_denied"
}

# --- rights

test_role_bounds_the_token if reason([set("/membership/role", "read"), set("/route/permission", "repo.write")]) == "insufficient_permission"

test_write_implies_read if reason([set("/route/permission", "repo.content.read")]) == "allowed"

test_read_token_cannot_write if reason([set("/token/kind", "read"), set("/route/permission", "repo.write")]) == "insufficient_permission"

test_write_token_can_write if reason([set("/token/kind", "write"), set("/route/permission", "repo.write")]) == "allowed"

test_unknown_permission_grants_nothing if reason([set("/authorization/current", [{"entity": {"type": "organization", "id": "o1", "name": "acme", "namespace": "o1"}, "permissions": ["made.up"]}])]) == "insufficient_permission"

model(name) := [{"entity": {"type": "model", "name": name, "namespace": "o1"}, "permissions": ["repo.content.read"]}]

test_grant_on_the_resource if reason([set("/authorization/current", model("acme/m"))]) == "allowed"

test_grant_on_another_resource if reason([set("/authorization/current", model("acme/n"))]) == "insufficient_permission"

test_approved_grants_bound_current_ones if reason([approval, set("/authorization/state", "approved"), set("/authorization/expired", false), set("/authorization/effective", model("acme/n"))]) == "insufficient_permission"

test_widened_grants_ask_again if {
	d := decide([approval, set("/authorization/state", "approved"), set("/authorization/expired", false), set("/authorization/grants", model("acme/m")), set("/authorization/effective", model("acme/m"))])
	d.allowed
	d.reason == "approved"
	d.request_approval
}

# Whatever the effective grants say: what is approved is not asked for again.
test_approved_grants_are_not_asked_for_again if {
	d := decide([
		approval,
		set("/authorization/state", "approved"),
		set("/authorization/expired", false),
		set("/authorization/grants", data.patrol.fixtures_test.request.authorization.current),
		set("/authorization/effective", []),
	])
	not d.request_approval
}

test_overlay_rights_win if {
	d := authz.decision with input as patched([]) with data.local.rights as {"roles": {"write": []}}
	d.reason == "insufficient_permission"
}

# --- access

test_unmanaged if reason([set("/route/access", "unmanaged"), without("/token"), without("/credential"), without("/authorization"), without("/membership"), without("/organization")]) == "unmanaged"

test_unmanaged_is_told_before_what_is_waived if reason([observe, set("/route/access", "unmanaged"), set("/token/expired", true)]) == "unmanaged"

test_public_without_credential if reason([set("/route/access", "public"), set("/credential/state", "missing"), without("/token")]) == "public"

test_public_with_token if reason([set("/route/access", "public")]) == "allowed"

test_public_with_unknown_token if reason([set("/route/access", "public"), without("/token")]) == "token_unknown"

test_authenticated if reason([set("/route/access", "authenticated"), without("/organization"), without("/authorization"), without("/membership")]) == "allowed"

public := set("/route/resource/visibility", "public")

test_public_read_without_credential if reason([public, set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "public"

test_public_read_of_pending_token_is_anonymous if {
	d := decide([public, approval])
	d.allowed
	d.reason == "anonymous"
	d.anonymous
}

test_public_read_of_revoked_token_is_refused if reason([public, set("/authorization/state", "revoked")]) == "token_revoked"

test_public_read_can_be_refused if reason([public, approval, set("/organization/settings/public_read", "refuse")]) == "approval_pending"

test_public_write_of_pending_token_is_refused if reason([public, approval, set("/route/permission", "repo.write")]) == "approval_pending"

test_user_namespace_has_no_policy if reason([without("/organization/token_policy"), set("/organization/type", "user"), set("/membership/role", "admin"), set("/token/kind", "write"), set("/route/permission", "repo.write")]) == "allowed"

test_grant_on_the_users_own_namespace if reason([without("/organization/token_policy"), set("/organization/type", "user"), set("/membership/role", "admin"), set("/authorization/current", [{"entity": {"type": "user", "id": "o1", "name": "bob", "namespace": "o1"}, "permissions": ["repo.content.read"]}])]) == "allowed"

# --- observe

observe := set("/organization/enforcement", "observe")

test_observe_waives_the_policy if {
	d := decide([observe, scoped, set("/token/kind", "write")])
	d.allowed
	d.reason == "observed"
	d.reasons == ["token_type_not_allowed"]
}

test_observe_still_opens_requests if decide([observe, approval]).request_approval

test_observe_waives_an_unknown_token if reason([observe, without("/token"), without("/authorization"), without("/membership")]) == "observed"

test_observe_waives_a_missing_credential if reason([observe, set("/credential/state", "missing"), without("/token"), without("/authorization"), without("/membership")]) == "observed"

test_observe_waives_a_strangers_token if reason([observe, without("/membership")]) == "observed"

test_observe_never_waives_revoked if reason([observe, set("/authorization/state", "revoked")]) == "token_revoked"

test_observe_never_waives_suspended if reason([observe, set("/authorization/suspended", true)]) == "token_suspended"

test_observe_never_waives_denied if reason([observe, approval, set("/authorization/state", "denied")]) == "approval_denied"

test_observe_never_waives_disabled if reason([observe, without("/token"), without("/authorization"), without("/membership"), set("/credential/disabled", true)]) == "token_unknown"

# --- a dated policy

dated(policy) := [set("/organization/next_token_policy", policy), set("/organization/enforce_at", "2026-12-24T00:00:00Z")]

test_grace_period if {
	d := decide(array.concat(dated("only_fine_grained_tokens"), [set("/token/kind", "write")]))
	d.reason == "grace_period"
	d.next == ["token_type_not_allowed"]
}

test_grace_period_opens_requests if decide(dated("require_administrator_approval")).request_approval

test_denied_binds_before_its_policy if reason(array.concat(dated("require_administrator_approval"), [set("/authorization/state", "denied")])) == "approval_denied"

test_denied_sleeps_otherwise if reason([set("/authorization/state", "denied")]) == "allowed"

test_next_policy_of_the_overlay if {
	d := authz.decision with input as patched(dated("own")) with data.local.policies.own.reasons as {"policy_denied"}
	d.next == ["policy_denied"]
}

test_a_policy_without_a_date_is_no_fact if not decide([set("/organization/next_token_policy", "only_fine_grained_tokens")])

# --- exceptions

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

# --- composition

test_overlay_answer_adds_keys if {
	d := authz.decision with input as patched([]) with data.local.answer as {"headers": {"x-tier": "gold"}, "allowed": false}
	d.allowed
	d.headers["x-tier"] == "gold"
}

test_every_reason_is_told_in_order if {
	d := decide([approval, set("/token/expired", true), set("/route/permission", "org.write")])
	d.reasons == ["token_expired", "approval_pending", "insufficient_permission"]
}

test_catalogue_and_order_agree if {
	every reason in data.patrol.order {
		data.patrol.catalogue[reason].http_status
	}
}

test_rights_that_are_gone_grant_nothing if {
	d := authz.decision with input as patched([]) with data.patrol.rights as {}
	d.reason == "insufficient_permission"
}

test_overlay_catalogue_decides_what_is_waivable if {
	d := excepted(exception("2026-12-01T00:00:00Z", {}), []) with data.local.catalogue as {"token_type_not_allowed": {"http_status": 403, "waivable": false}}
	d.reason == "token_type_not_allowed"
}
