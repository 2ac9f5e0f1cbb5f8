package patrol.admin_test

import data.patrol.admin

# alice's token, an administrator's, asks to approve bob's in acme.
asks := {
	"operation": {"id": "approve-token", "scope": "organization", "permission": "org.tokens.review", "subject": "token", "in_body": false, "changes": true},
	"caller": {"kind": "token", "owner": "alice", "system_owner": false, "token": {"id": "t1", "kind": "fine-grained", "source": "issued", "global": [], "ends": false}},
	"decision": {"on": "organization", "allowed": true, "reason": "admin_created", "reasons": []},
	"organization": "acme",
	"target": {"id": "t2", "owner": "bob"},
}

op(id, scope, subject, changes) := {"id": id, "scope": scope, "permission": "", "subject": subject, "in_body": false, "changes": changes}

because(doc) := reason if reason := admin.decision.reason with input as doc

with_(change) := object.union(asks, change)

test_an_administrator_decides_on_others if {
	because(asks) == "allowed"
	admin.decision == {"allowed": true, "reason": "allowed", "message": ""} with input as asks
}

test_nobody_decides_on_the_own if {
	because(with_({"target": {"owner": "alice"}})) == "self_decision"
	because(with_({"target": {"owner": "alice"}, "caller": operator_})) == "self_decision"
	because(object.union(member_, {"member": "alice"})) == "self_decision"
	admin.decision.message == admin.messages.self_decision with input as with_({"target": {"owner": "alice"}})
}

test_what_was_waived_does_not_count if {
	because(with_({"decision": {"reason": "observed", "reasons": ["insufficient_permission"]}})) == "waived"
	because(with_({"operation": op("whoami", "any", "none", false), "decision": {"reasons": ["token_expired"]}})) == "waived"
}

test_a_refused_token_is_refused if {
	because(with_({"decision": {"allowed": false}})) == "forbidden"
	because(with_({"decision": {"on": "elsewhere"}})) == "forbidden"
}

test_the_decision_is_the_organizations if because(with_({"decision": {"on": "authenticated"}})) == "forbidden"

test_an_organization_is_named if because(with_({"organization": ""})) == "forbidden"

test_reading_needs_no_other_owner if {
	because(with_({"operation": op("get-organization-token", "organization", "token", false), "target": {"owner": "alice"}})) == "allowed"
	because(with_({"operation": op("list-approvals", "organization", "none", false)})) == "allowed"
}

test_a_change_without_a_subject_is_refused if because(with_({"operation": op("new", "organization", "none", true)})) == "forbidden"

test_everybody_may_ask_who_they_are if because(with_({"operation": op("whoami", "any", "none", false), "decision": {"on": "authenticated"}})) == "allowed"

# Policy.

test_no_token_changes_the_policy if {
	change := {"operation": op("set-token-policy", "organization", "none", true)}
	because(with_(change)) == "console_only"
	because(with_(object.union(change, {"caller": operator_}))) == "console_only"
}

test_no_token_changes_the_rules if {
	every id in admin.socket_only {
		change := {"operation": op(id, "operator", "none", true)}
		because(with_(change)) == "socket_only"
		because(with_(object.union(change, {"caller": operator_}))) == "socket_only"
	}
	because(with_({"operation": op("get-shadow-bundle", "operator", "none", false), "caller": operator_})) == "allowed"
}

# Directories.

provision := {"operation": op("provision-members", "organization", "none", true)}

test_a_directory_keeps_members if {
	because(object.remove(with_(provision), ["target"])) == "allowed"
	because(with_(object.union(provision, {"decision": {"on": "authenticated"}}))) == "forbidden"
	because(with_(object.union(provision, {"decision": {"reasons": ["insufficient_permission"]}}))) == "waived"
}

# Members.

member_ := object.union(object.remove(asks, ["target"]), {"operation": op("remove-member", "organization", "member", true), "member": "bob"})

test_members_are_removed if because(member_) == "allowed"

test_members_are_set_without_their_address if {
	set_ := object.union(member_, {"operation": object.union(op("set-member", "organization", "member", true), {"in_body": true})})
	because(object.union(set_, {"asked": {"person": false}})) == "allowed"
	because(object.union(set_, {"asked": {"person": true}})) == "operator_only"
	because(set_) == "forbidden"
	because(object.union(set_, {"asked": {"person": true}, "caller": operator_})) == "allowed"
}

# Operators.

operator_ := {"system_owner": true, "token": {"global": ["patrol.operate"]}}

test_an_operator_may_everything if {
	because(with_({"operation": op("import-tokens", "operator", "none", true), "caller": operator_})) == "allowed"
	because(with_({"operation": op("disable-token", "operator", "token", true), "caller": operator_})) == "allowed"
	because(with_({"caller": operator_, "decision": {"on": "authenticated"}})) == "allowed"
}

test_others_may_nothing_of_an_operators if because(with_({"operation": op("import-tokens", "operator", "none", true)})) == "operator_only"

test_an_operators_token_was_made_for_it if {
	admin.operator with input as with_({"caller": operator_})
	not admin.operator with input as asks
	not admin.operator with input as with_({"caller": {"system_owner": true}})
	not admin.operator with input as with_({"caller": {"token": {"global": ["patrol.operate"]}}})
	not admin.operator with input as with_({"caller": object.union(operator_, {"token": {"kind": "write"}})})
}

# Own tokens.

test_a_token_rotates_itself_only if {
	rotate := {"operation": op("rotate-token", "self", "none", true), "decision": {"on": "authenticated"}}
	because(with_(object.union(rotate, {"target": {"id": "t1", "owner": "alice"}}))) == "allowed"
	because(with_(object.union(rotate, {"target": {"owner": "alice"}}))) == "forbidden"
	because(with_(object.union(rotate, {"caller": operator_}))) == "allowed"
}

test_no_token_changes_settings if because(with_({"operation": op("change-settings", "organization", "none", true)})) == "console_only"

test_the_owner_sees_own_tokens if {
	own := {"operation": op("get-token", "own", "none", false), "decision": {"on": "authenticated"}}
	because(with_(object.union(own, {"target": {"owner": "alice"}}))) == "allowed"
	because(with_(own)) == "forbidden"
	because(object.remove(with_(own), ["target"])) == "forbidden"
}

spoken(id) := with_({"operation": op(id, "own", "none", true), "target": {"owner": "ci", "responsible": ["alice"]}})

test_who_answers_for_an_account_speaks_for_it if {
	because(spoken("answer-request")) == "allowed"
	because(spoken("ask-request")) == "allowed"
	because(spoken("withdraw-request")) == "allowed"
	because(spoken("get-token")) == "forbidden"
	because(object.union(spoken("answer-request"), {"target": {"responsible": ["bob"]}})) == "forbidden"
}

# Issuing.

issue := with_({
	"operation": op("issue-token", "issue", "none", true),
	"caller": {"approvals": [{"organization": "acme", "ends": false}]},
	"asked": {"owner": "alice", "kind": "fine-grained", "grants": 1, "beyond": [], "global": [], "organizations": ["acme"], "expires_at": "2026-12-01T00:00:00Z"},
})

test_a_token_issues_within_its_rights if because(issue) == "allowed"

test_a_token_that_was_made_elsewhere_issues_none if {
	every source in ["jwt", "introspection", "imported", ""] {
		because(object.union(issue, {"caller": {"token": {"source": source}}})) == "beyond_own_rights"
	}
}

test_a_token_issues_nothing_beyond if {
	every change in [
		{"owner": "bob"},
		{"kind": "write"},
		{"grants": 0},
		{"beyond": ["organization:acme=repo.write"]},
		{"global": ["discussion.write"]},
	] {
		because(object.union(issue, {"asked": change})) == "beyond_own_rights"
	}
}

until(at) := object.union(issue, {"caller": {"token": {"ends": true, "expires_at": at}}})

test_a_token_issues_none_that_outlives_it if {
	because(until("2026-12-01T00:00:00Z")) == "allowed"
	because(until("2026-11-30T23:59:59Z")) == "beyond_own_rights"
	because(object.remove(until("2027-01-01T00:00:00Z"), ["asked"])) == "beyond_own_rights"
}

approved_until(at) := {"organization": "acme", "ends": true, "expires_at": at}

with_approvals(asked, approvals) := object.union(asked, {"caller": {"approvals": approvals}})

without_an_end := object.union(object.remove(issue, ["asked"]), {"asked": object.remove(issue.asked, ["expires_at"])})

test_a_token_issues_none_that_outlives_its_approval if {
	because(without_an_end) == "allowed"
	because(with_approvals(issue, [approved_until("2026-12-01T00:00:00Z")])) == "allowed"
	because(with_approvals(issue, [approved_until("2026-11-30T23:59:59Z")])) == "beyond_own_rights"
	because(with_approvals(without_an_end, [approved_until("2026-12-01T00:00:00Z")])) == "beyond_own_rights"
}

test_the_earliest_end_counts if {
	late := approved_until("2027-12-01T00:00:00Z")
	early := {"organization": "other", "ends": true, "expires_at": "2026-11-30T00:00:00Z"}
	both := object.union(issue, {"asked": {"organizations": ["acme", "other"]}})
	because(with_approvals(both, [late, {"organization": "other", "ends": false}])) == "allowed"
	because(with_approvals(both, [late, early])) == "beyond_own_rights"
	because(with_approvals(until("2026-11-30T00:00:00Z"), [late])) == "beyond_own_rights"
}

test_an_approval_that_is_not_known_ends_nothing_in_time if {
	because(with_approvals(issue, [])) == "beyond_own_rights"
	because(with_approvals(issue, [{"organization": "other", "ends": false}])) == "beyond_own_rights"
	because(with_approvals(issue, [{"organization": "acme"}])) == "beyond_own_rights"
	because(object.union(issue, {"asked": {"organizations": []}})) == "beyond_own_rights"
}

# Checking.

check(asked) := with_({"operation": op("check", "check", "none", true), "decision": {"on": "authenticated"}, "asked": asked})

test_a_request_is_checked_on_own_organizations if {
	because(check({"organizations": ["acme"], "readable": ["acme"]})) == "allowed"
	because(check({"organizations": ["acme", "other"], "readable": ["acme"]})) == "organization_forbidden"
	because(check({"organizations": [], "readable": ["acme"]})) == "organization_forbidden"
}
