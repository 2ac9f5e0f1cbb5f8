# METADATA
# title: The token policy in force
# description: Dispatches to the package of the organization's policy, under patrol or local, and to the next one where a change is dated.
package patrol.token_policy

# METADATA
# description: What the policy in force has against the request.
reasons contains reason if {
	governed
	some reason in data.patrol.policies[input.organization.token_policy].reasons
}

reasons contains reason if {
	governed
	some reason in data.local.policies[input.organization.token_policy].reasons
}

# METADATA
# description: What the next policy would have against it; evaluated only where a date is set.
next contains reason if {
	input.organization.next_token_policy
	governed
	some reason in data.patrol.policies[input.organization.next_token_policy].reasons
}

next contains reason if {
	input.organization.next_token_policy
	governed
	some reason in data.local.policies[input.organization.next_token_policy].reasons
}

governed if {
	input.route.access == "organization"
	input.organization.type == "organization"
	input.token
}

# METADATA
# description: The policy exists and gave a set; an unknown one admits nothing.
known if is_set(data.patrol.policies[input.organization.token_policy].reasons)

known if is_set(data.local.policies[input.organization.token_policy].reasons)

# A date without a policy, or a policy without a date, is no fact to decide on.
dated_well if {
	not input.organization.next_token_policy
	not input.organization.enforce_at
}

dated_well if {
	input.organization.next_token_policy
	input.organization.enforce_at
}
