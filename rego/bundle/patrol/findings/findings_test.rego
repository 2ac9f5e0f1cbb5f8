package patrol.findings_test

import data.patrol.findings
import data.patrol.hygiene_fixtures_test as fixtures

quiet := fixtures.quiet

unscoped := fixtures.with_token({"kind": "write"})

test_nothing_is_found_of_a_tidy_token if findings.found == {} with input as quiet

test_a_finding_has_words_and_details if {
	found := findings.found with input as unscoped
	found == {"unscoped_write": {
		"severity": "high",
		"title": "Unscoped, may write",
		"sentence": "It may write to everything that {owner} may write to",
		"do": "Replace it by a fine-grained token with the permissions that it uses",
		"details": {"owner": "bob"},
	}}
}

test_an_overlay_rewords_a_finding if {
	found := findings.found with input as unscoped with data.local.findings as {"unscoped_write": {"severity": "low"}}
	found.unscoped_write.severity == "low"
	found.unscoped_write.title == "Unscoped, may write"
}

test_an_overlay_switches_a_finding_off if {
	findings.found == {} with input as unscoped with data.local.findings as {"unscoped_write": {"off": true}}
}

test_an_overlay_adds_a_finding if {
	found := findings.found with input as quiet
		with data.local.hygiene as {"no_purpose": {"finding": {"days": 3}}}
		with data.local.findings as {"no_purpose": {"severity": "low", "title": "No purpose", "sentence": "It says no purpose", "do": "Ask"}}
	found.no_purpose.details.days == 3
}

test_of_two_with_one_name_the_overlays_counts if {
	found := findings.found with input as unscoped with data.local.hygiene as {"unscoped_write": {"finding": {"owner": "the overlay"}}}
	found.unscoped_write.details.owner == "the overlay"
}
