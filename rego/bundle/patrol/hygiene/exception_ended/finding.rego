# METADATA
# title: Exception ended
# description: The overlay lists exceptions for this organization, or for all, that waive nothing any more.
package patrol.hygiene.exception_ended

import data.patrol.hygiene

finding := {"exceptions": sort(ended)} if {
	not input.token
	count(ended) > 0
}

ended contains id if {
	some id, exception in data.local.exceptions
	time.parse_rfc3339_ns(exception.until) <= hygiene.now
	concerned(exception)
}

concerned(exception) if not exception.organizations

concerned(exception) if input.organization.name in exception.organizations
