package patrol.hygiene.grants_never_used_test

import data.patrol.hygiene.grants_never_used
import data.patrol.hygiene_fixtures_test as fixtures

acme := {"type": "organization", "name": "acme"}

model(name) := {"type": "model", "name": name}

granted(grants) := fixtures.with_token({"grants": grants})

row(resource, permission) := {"resource_type": "model", "resource": resource, "permission": permission, "count": 1, "last_at": "2026-06-01T11:00:00Z"}

used(grants, rows) := object.union(granted(grants), {"usage": {"allowed": rows}})

test_a_permission_that_is_not_used if {
	found := grants_never_used.finding with input as granted([{"entity": acme, "permissions": ["job.write", "repo.write"]}])
	found == {
		"unused": [{"entity": acme, "permissions": ["job.write"]}],
		"narrower": [{"entity": acme, "permissions": ["repo.write"]}],
		"count": 1,
		"days": 30,
	}
}

test_reading_by_a_permission_to_write if {
	found := grants_never_used.finding with input as used([{"entity": acme, "permissions": ["repo.write"]}], [row("acme/m", "repo.content.read")])
	found.unused == [{"entity": acme, "permissions": ["repo.write"]}]
	found.narrower == [{"entity": acme, "permissions": ["repo.content.read"]}]
}

test_one_of_two_models if {
	grants := [{"entity": model("acme/m"), "permissions": ["repo.write"]}, {"entity": model("acme/n"), "permissions": ["repo.write"]}]
	found := grants_never_used.finding with input as used(grants, [row("acme/m", "repo.write")])
	found.narrower == [{"entity": model("acme/m"), "permissions": ["repo.write"]}]
	found.unused == [{"entity": model("acme/n"), "permissions": ["repo.write"]}]
}

test_resources_that_were_counted_together_may_be_any if {
	grants := [{"entity": model("acme/m"), "permissions": ["repo.write"]}]
	not grants_never_used.finding with input as used(grants, [row("*", "repo.write")])
}

test_all_is_used if not grants_never_used.finding with input as fixtures.quiet

test_nothing_is_used if not grants_never_used.finding with input as used([{"entity": acme, "permissions": ["repo.write"]}], [])

test_it_was_used_long_ago if {
	old := object.union(row("acme/m", "job.write"), {"last_at": "2026-04-01T11:00:00Z"})
	found := grants_never_used.finding with input as used([{"entity": acme, "permissions": ["job.write", "repo.write"]}], [old, row("acme/m", "repo.write")])
	found.unused == [{"entity": acme, "permissions": ["job.write"]}]
}

test_too_early_to_say if {
	grants := [{"entity": acme, "permissions": ["job.write", "repo.write"]}]
	not grants_never_used.finding with input as object.union(granted(grants), {"usage": {"since": "2026-05-20T00:00:00Z"}})
	not grants_never_used.finding with input as object.union(granted(grants), {"token": {"created_at": "2026-05-20T00:00:00Z"}})
}
