# METADATA
# title: Findings
# description: >-
#   What is risky or untidy about a token at an organization, or about the
#   organization itself: what the packages below data.patrol.hygiene, and an
#   overlay's below data.local.hygiene, find. Of two with one name the overlay's
#   counts. Severity, words and thresholds are in the catalogue of findings, over
#   which data.local.findings comes first; "off": true switches a finding off.
package patrol.findings

import data.patrol.hygiene

# METADATA
# description: Each finding by its name, with its severity, words and details.
# entrypoint: true
found[name] := {
	"severity": hygiene.setting(name, "severity"),
	"title": hygiene.setting(name, "title"),
	"sentence": hygiene.setting(name, "sentence"),
	"do": hygiene.setting(name, "do"),
	"details": details,
} if {
	some name, details in all
	not hygiene.setting(name, "off")
}

all := object.union(base, local)

base[name] := data.patrol.hygiene[name].finding

local[name] := data.local.hygiene[name].finding
