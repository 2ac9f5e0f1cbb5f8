package patrol.sources.lib_test

import data.patrol.sources.lib

of(claims) := {"now": 1500, "source": {"kind": "jwt", "name": "https://login.example"}, "claims": claims}

test_the_owner_is_a_text if {
	lib.owner == "bob" with input as of({"sub": "bob"})
	every claims in [{}, {"sub": ""}, {"sub": 7}, {"sub": null}, {"sub": ["bob"]}] {
		not lib.owner with input as of(claims)
	}
}

test_the_owner_by_another_claim if {
	lib.owner == "robert" with input as of({"sub": "bob", "name": "robert"}) with data.local.sources.claims as {"owner": "name"}
	not lib.owner with input as of({"sub": "bob"}) with data.local.sources.claims as {"owner": "name"}
}

test_the_first_client_that_is_told if {
	lib.client == "a" with input as of({"azp": "a", "client_id": "b"})
	lib.client == "b" with input as of({"client_id": "b"})
	lib.client == "" with input as of({"azp": 7})
}

test_times_are_numbers if {
	lib.times == {"issued_at": 1, "expires_at": 2} with input as of({"iat": 1.9, "exp": 2})
	lib.times == {} with input as of({"iat": "1", "exp": -2, "nbf": 1})
}

test_grants_are_words if {
	lib.grants == [{"type": "model", "name": "acme/m", "permissions": ["a", "b"]}] with input as of({"scope": "openid model:acme/m=a,b"})
	lib.grants == [] with input as of({"scope": 7})
}
