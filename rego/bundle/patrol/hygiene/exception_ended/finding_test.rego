package patrol.hygiene.exception_ended_test

import data.patrol.hygiene.exception_ended
import data.patrol.hygiene_fixtures_test as fixtures

organization := object.remove(fixtures.quiet, ["token", "membership", "authorization", "usage"])

exceptions := {
	"everywhere": {"until": "2026-05-31T00:00:00Z"},
	"here": {"until": "2026-06-01T12:00:00Z", "organizations": ["acme"]},
	"elsewhere": {"until": "2026-05-31T00:00:00Z", "organizations": ["other"]},
	"in_force": {"until": "2026-07-31T00:00:00Z"},
	"broken": {"until": "soon"},
}

test_ended if exception_ended.finding == {"exceptions": ["everywhere", "here"]} with input as organization with data.local.exceptions as exceptions

test_it_is_about_the_organization if not exception_ended.finding with input as fixtures.quiet with data.local.exceptions as exceptions

test_none if not exception_ended.finding with input as organization
