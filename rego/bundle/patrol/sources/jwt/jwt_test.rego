package patrol.sources.jwt_test

import data.patrol.sources.jwt

claims := {
	"iss": "https://login.example", "sub": "bob", "azp": "ci", "jti": "1", "iat": 1000, "exp": 2000.9,
	"scope": "openid organization:acme=repo.content.read,repo.write model:acme/m=repo.write",
}

of(changed) := {"now": 1500, "source": {"kind": "jwt", "name": "https://login.example"}, "claims": changed}

token := {
	"id": ["https://login.example", "bob", "ci"], "owner": "bob", "display_name": "ci", "kind": "fine-grained",
	"issued_at": 1000, "expires_at": 2000,
	"grants": [
		{"type": "organization", "name": "acme", "permissions": ["repo.content.read", "repo.write"]},
		{"type": "model", "name": "acme/m", "permissions": ["repo.write"]},
	],
}

with_claims(changes) := object.union(claims, changes)

without(claim) := object.remove(claims, [claim])

test_claims_are_a_token if jwt.mapped == {token} with input as of(claims)

test_another_jti_is_the_same_token if jwt.mapped == {token} with input as of(with_claims({"jti": "2"}))

test_absent_claims_are_no_token if {
	every claim in ["iss", "sub", "exp"] {
		jwt.mapped == set() with input as of(without(claim))
	}
}

test_claims_of_another_type_are_no_token if {
	every wrong in [{"sub": 7}, {"sub": ""}, {"exp": "2000"}, {"exp": -1}, {"nbf": "1"}, {"iss": ["https://login.example"]}] {
		jwt.mapped == set() with input as of(with_claims(wrong))
	}
}

test_another_issuer_is_none if jwt.mapped == set() with input as of(with_claims({"iss": "https://evil.example"}))

test_what_has_not_begun_is_none if jwt.mapped == set() with input as of(with_claims({"nbf": 1501}))

test_what_has_begun_is_one if jwt.mapped == {token} with input as of(with_claims({"nbf": 1500}))

test_a_bound_token_is_none if jwt.mapped == set() with input as of(with_claims({"cnf": {"jkt": "x"}}))

test_the_client_may_stand_elsewhere if {
	jwt.mapped == {token} with input as of(object.union(without("azp"), {"client_id": "ci"}))
}

test_without_a_client_the_owner_names_it if {
	some t in jwt.mapped with input as of(without("azp"))
	t.id == ["https://login.example", "bob", ""]
	t.display_name == "bob"
}

test_the_scope_may_be_a_list if {
	jwt.mapped == {token} with input as of(object.union(without("scope"), {"scp": [
		"openid", 7, "organization:acme=repo.content.read,repo.write",
		"model:acme/m=repo.write",
	]}))
}

test_without_a_scope_nothing_is_granted if {
	some t in jwt.mapped with input as of(without("scope"))
	t.grants == []
}

test_words_that_are_none_grant_nothing if {
	every word in ["organization:acme", "organization:acme=", "=repo.write", "organization:acme=repo.write,", "Organization:acme=x", "a:b=c,d;e"] {
		some t in jwt.mapped with input as of(with_claims({"scope": word}))
		t.grants == []
	}
}

test_an_overlay_names_claims if {
	some t in jwt.mapped with input as of(with_claims({"preferred_username": "robert"}))
		with data.local.sources.claims as {"owner": "preferred_username"}
	t.owner == "robert"
	t.display_name == "ci"
}

test_an_overlay_says_it_by_itself if {
	jwt.mapped == {"mine"} with input as of(claims) with data.local.sources.jwt.tokens as {"mine"}
}

test_an_overlay_that_says_none_means_none if {
	jwt.mapped == set() with input as of(claims) with data.local.sources.jwt.tokens as set()
}
