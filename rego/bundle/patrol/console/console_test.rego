package patrol.console_test

import data.patrol.console

test_an_operator_may_do_everything if {
	every organization in ["", "acme"] {
		console.may == {"members.write", "operate", "policy.write", "tokens.read", "tokens.review", "tokens.write"} with input as {
			"caller": {"name": "uid:0", "operator": true},
			"organization": organization,
		}
	}
}

test_an_administrator_may_do_everything_in_the_organization if {
	console.may == {"members.write", "policy.write", "tokens.read", "tokens.review", "tokens.write"} with input as {
		"caller": {"name": "alice", "operator": false, "role": "admin"},
		"organization": "acme",
	}
}

test_a_reviewer_reads_and_decides if {
	console.may == {"tokens.read", "tokens.review"} with input as {
		"caller": {"name": "rob", "operator": false, "role": "reviewer"},
		"organization": "acme",
	}
}

test_other_roles_may_nothing if {
	every role in ["write", "contributor", "read", "no_access", ""] {
		console.may == set() with input as {"caller": {"name": "bob", "operator": false, "role": role}, "organization": "acme"}
	}
}

test_a_role_counts_in_an_organization_alone if {
	console.may == set() with input as {"caller": {"name": "alice", "operator": false, "role": "admin"}, "organization": ""}
}

test_absent_facts_allow_nothing if {
	every asked in [{}, {"caller": {}}, {"caller": {"role": "admin"}}, {"organization": "acme"}] {
		console.may == set() with input as asked
	}
}

# Of a token of ci, on the page of an organization.
on(organization, caller, responsible) := {"organization": organization, "caller": caller, "token": {"owner": "ci", "responsible": responsible}}

test_the_owner_may_all_on_the_own_pages if {
	console.own == {"ask", "names", "refusals", "rotate", "see"} with input as on("acme", {"name": "ci", "member": true}, [])
}

test_who_answers_for_an_account_sees_and_asks if {
	console.own == {"ask", "names", "refusals", "see"} with input as on("acme", {"name": "bob", "member": true}, ["alice", "bob"])
}

test_who_is_no_member_is_told_no_names_and_no_requests if {
	every caller in [{"name": "ci", "member": false}, {"name": "ci"}] {
		console.own == {"ask", "rotate", "see"} with input as on("acme", caller, [])
	}
	console.own == {"ask", "see"} with input as on("acme", {"name": "bob", "member": false}, ["bob"])
}

test_of_no_organization_the_owner_alone_sees_requests if {
	console.own == {"ask", "refusals", "rotate", "see"} with input as on("", {"name": "ci", "member": true}, [])
	console.own == {"ask", "see"} with input as on("", {"name": "bob", "member": true}, ["bob"])
}

test_others_see_no_token if {
	every caller in [{"name": "eve"}, {"name": "eve", "member": true}, {"name": ""}, {"operator": false}, {}] {
		console.own == set() with input as on("acme", caller, ["bob"])
		console.own == set() with input as on("", caller, ["bob"])
	}
	console.own == set() with input as {"caller": {"name": "bob", "member": true}, "organization": "acme"}
}

test_an_operator_sees_a_token_and_asks_for_nothing if {
	every organization in ["", "acme"] {
		console.own == {"names", "refusals", "see"} with input as on(organization, {"name": "uid:0", "operator": true}, [])
	}
}
