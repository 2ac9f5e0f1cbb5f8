# METADATA
# title: Tests of review
# description: Each rule alone, what outweighs what, and what an overlay may do.
package patrol.review_test

import data.patrol.review

on(type, permissions) := {"entity": {"type": type, "name": "acme/m", "namespace": "o1"}, "permissions": permissions}

request := {
	"organization": {"id": "o1", "name": "acme", "type": "organization", "token_policy": "require_administrator_approval", "settings": {"max_token_lifetime_days": 0}},
	"token": {"id": "t1", "display_name": "ci", "kind": "fine-grained", "owner": {"name": "bob", "type": "user"}, "source": "issued", "remaining_seconds": 8640000},
	"membership": {"role": "write", "since": "2026-01-01T00:00:00Z"},
	"authorization": {"state": "none", "expired": false},
	"asked": {"by": "issue", "round": 0, "purpose": "mirror", "contact": "", "previous": "none", "grants": [on("model", ["repo.content.read"])], "added": [on("model", ["repo.content.read"])]},
	"now": "2026-11-24T12:00:00Z",
}

set(path, value) := {"op": "add", "path": path, "value": value}

without(path) := {"op": "remove", "path": path}

ask(type, permissions) := set("/asked/grants", [on(type, permissions)])

said(patches) := r if r := review.recommendation with input as json.patch(request, patches)

rules(patches) := {reason.rule | some reason in said(patches).reasons}

renewal := [set("/authorization/state", "approved"), set("/authorization/expired", true), set("/asked/added", []), ask("model", ["repo.write"])]

test_reading_is_approved_for_a_time if {
	r := said([])
	r.action == "approve"
	r.until_days == 90
	r.reasons == [{"rule": "read_only", "action": "approve", "why": "It only reads, says what for, and ends"}]
}

test_reading_for_no_purpose_is_looked_at if rules([set("/asked/purpose", "")]) == {"default"}

test_reading_for_too_long_is_looked_at if rules([set("/token/remaining_seconds", 31536001)]) == {"default"}

test_writing_is_looked_at if {
	r := said([ask("model", ["repo.write"])])
	r.action == "escalate"
	r.until_days == 0
	r.reasons[0].rule == "default"
}

test_renewal_is_approved if {
	said(renewal).action == "approve"
	rules(renewal) == {"renewal"}
}

test_a_renewal_that_asks_for_more_is_none if rules(array.concat(renewal, [set("/asked/added", [on("model", ["repo.write"])])])) == {"default"}

test_administration if rules([ask("organization", ["org.write"]), set("/membership/role", "admin")]) == {"administration"}

test_writing_everywhere if rules([ask("organization", ["repo.write"])]) == {"organization_wide_write"}

test_reading_everywhere_is_approved if rules([ask("organization", ["repo.content.read"])]) == {"read_only"}

test_no_end if {
	rules([without("/token/remaining_seconds")]) == {"no_end"}
	said([without("/token/remaining_seconds")]).action == "escalate"
}

test_denied_before if rules([set("/asked/previous", "denied")]) == {"denied_before"}

test_service_account_needs_a_contact if {
	rules([set("/token/owner/type", "service_account")]) == {"no_contact"}
	rules([set("/token/owner/type", "service_account"), set("/asked/contact", "ops@example.com")]) == {"read_only"}
}

test_unknown_permission if {
	r := said([ask("model", ["repo.teleport"])])
	r.action == "escalate"
	r.reasons[0].why == "The policy does not know what it asks for: repo.teleport"
}

test_an_unknown_permission_writes_nowhere if {
	rules([ask("organization", ["repo.wirte"])]) == {"unknown_permission"}
	rules([ask("organization", ["repo.wirte", "repo.write"])]) == {"unknown_permission", "organization_wide_write"}
}

test_an_implied_permission_is_known if {
	r := review.recommendation with input as json.patch(request, [ask("organization", ["repo.scrub"])])
		with data.local.rights.roles as {"write": ["repo.write"]}
		with data.local.rights.implies as {"repo.write": ["repo.scrub"]}
	{reason.rule | some reason in r.reasons} == {"organization_wide_write"}
}

test_a_permission_of_the_overlay_is_known if {
	r := review.recommendation with input as json.patch(request, [ask("model", ["repo.teleport"])])
		with data.local.rights.roles as {"robot": ["repo.teleport"]}
	r.reasons[0].why == "The owner's role write does not give it: repo.teleport"
}

test_beyond_the_role_is_denied if {
	r := said([set("/membership/role", "read"), ask("model", ["repo.write"])])
	r.action == "deny"
	r.reasons[0].why == "The owner's role read does not give it: repo.write"
}

test_denying_outweighs_escalating if said([set("/membership/role", "read"), ask("organization", ["repo.write"])]).action == "deny"

test_escalating_outweighs_approving if {
	r := review.recommendation with input as request with data.local.review.reasons as {{"rule": "new_hire", "action": "escalate", "why": "x"}}
	r.action == "escalate"
	count(r.reasons) == 2
}

test_lives_too_long if said([set("/organization/settings/max_token_lifetime_days", 99)]).action == "deny"

test_lives_short_enough if said([set("/organization/settings/max_token_lifetime_days", 100)]).action == "approve"

test_an_overlay_adds_a_rule if {
	r := review.recommendation with input as json.patch(request, [ask("model", ["repo.write"])])
		with data.local.review.reasons as {{"rule": "ci_bot", "action": "approve", "why": "x"}}
	r.action == "approve"
}

test_an_overlay_takes_a_rule_away if {
	r := review.recommendation with input as request with data.local.review.off as {"read_only"}
	r.reasons[0].rule == "default"
}

test_an_overlay_sets_a_threshold if {
	r := review.recommendation with input as request with data.local.review.thresholds as {"approve_days": 30}
	r.until_days == 30
}
