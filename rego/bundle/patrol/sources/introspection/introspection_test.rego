package patrol.sources.introspection_test

import data.patrol.sources.introspection

claims := {
	"active": true, "token_type": "Bearer", "iss": "https://login.example", "sub": "bob", "client_id": "ci", "iat": 1000, "exp": 2000,
	"scope": "organization:acme=repo.write",
}

of(changed) := {"now": 1500, "source": {"kind": "introspection", "name": "corp"}, "claims": changed}

token := {
	"id": ["corp", "bob", "ci"], "owner": "bob", "display_name": "ci", "kind": "fine-grained", "issued_at": 1000, "expires_at": 2000,
	"grants": [{"type": "organization", "name": "acme", "permissions": ["repo.write"]}],
}

test_an_answer_is_a_token if introspection.mapped == {token} with input as of(claims)

test_it_need_not_tell_its_end if {
	introspection.mapped == {object.remove(token, ["expires_at"])} with input as of(object.remove(claims, ["exp"]))
}

test_absent_members_are_no_token if {
	every member in ["active", "sub", "token_type"] {
		introspection.mapped == set() with input as of(object.remove(claims, [member]))
	}
}

test_what_is_not_taken if {
	every wrong in [
		{"active": false}, {"active": "true"}, {"active": 1}, {"token_type": "refresh_token"}, {"token_type": "DPoP"},
		{"sub": 7}, {"cnf": {"x5t#S256": "x"}}, {"nbf": 1501},
		{"nbf": false}, {"cnf": false}, {"exp": 0}, {"exp": 0.5}, {"exp": false}, {"exp": "2000"},
	] {
		introspection.mapped == set() with input as of(object.union(claims, wrong))
	}
}

test_an_overlay_says_it_by_itself if {
	introspection.mapped == {"mine"} with input as of(claims) with data.local.sources.introspection.tokens as {"mine"}
}
