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

token(caller, responsible) := {"caller": caller, "token": {"owner": "ci", "responsible": responsible}}

test_the_owner_may_all_on_the_own_pages if {
	console.own == {"ask", "rotate", "see"} with input as token({"name": "ci"}, [])
}

test_who_answers_for_an_account_sees_and_asks if {
	console.own == {"ask", "see"} with input as token({"name": "bob"}, ["alice", "bob"])
}

test_others_see_no_token if {
	every caller in [{"name": "eve"}, {"name": ""}, {"operator": false}, {}] {
		console.own == set() with input as token(caller, ["bob"])
	}
	console.own == set() with input as {"caller": {"name": "bob"}}
}

test_an_operator_sees_a_token_and_asks_for_nothing if {
	console.own == {"see"} with input as token({"name": "uid:0", "operator": true}, [])
}
