package patrol.hygiene_fixtures_test

# A tidy token on the first of June: fine-grained, made in May, used in all its
# permissions, with an end in August.
quiet := {
	"now": "2026-06-01T12:00:00Z",
	"organization": {"id": "o1", "name": "acme", "type": "organization", "token_policy": "require_administrator_approval", "enforcement": "enforce"},
	"token": {
		"id": "t1", "display_name": "ci", "kind": "fine-grained", "source": "issued", "purpose": "nightly builds",
		"created_at": "2026-05-01T12:00:00Z", "expires_at": "2026-08-01T12:00:00Z", "disabled": false,
		"owner": {"name": "bob", "type": "user"},
		"grants": [{"entity": {"type": "organization", "name": "acme"}, "permissions": ["repo.write"]}],
	},
	"membership": {"role": "write", "since": "2025-01-01T00:00:00Z"},
	"authorization": {"state": "approved", "suspended": false, "changed_at": "2026-05-01T13:00:00Z"},
	"usage": {
		"since": "2026-01-01T00:00:00Z",
		"last_used_at": "2026-06-01T11:00:00Z",
		"allowed": [{"resource_type": "model", "resource": "acme/m", "permission": "repo.write", "count": 3, "last_at": "2026-06-01T11:00:00Z"}],
		"refused": [],
		"networks": [{"network": "192.0.2.0/24", "last_at": "2026-06-01T11:00:00Z"}],
	},
}

with_token(change) := object.union(quiet, {"token": change})

with_usage(change) := object.union(quiet, {"usage": change})

with_authorization(change) := object.union(quiet, {"authorization": change})

# METADATA
# description: The fixture without a member of the token, by its key.
without(section, key) := object.union(object.remove(quiet, [section]), {section: object.remove(quiet[section], [key])})
