# METADATA
# title: Shared words
# description: What several checks need to say; an overlay's data comes first.
package patrol.lib

# The request is about an organization's resources.
governed if input.route.access == "organization"

# A read of what is public needs no credential.
public_read if {
	governed
	input.route.resource.visibility == "public"
	input.route.permission in data.patrol.rights.public_read
	not input.organization.settings.public_read == "refuse"
	input.organization.settings.public_read
}

# The policy in force asks for an approval.
approval_asked if requires_approval(input.organization.token_policy)

# METADATA
# description: Whether a token policy asks for an approval.
requires_approval(name) if data.patrol.policies[name].requires_approval

requires_approval(name) if data.local.policies[name].requires_approval

# METADATA
# description: The permissions of a role, a kind, or implied by one; an overlay's entry comes first.
right(section, key) := data.local.rights[section][key] if data.local.rights[section][key]

else := data.patrol.rights[section][key]

# METADATA
# description: Whether a permission is among the given ones, by name or by implication.
implied(permissions, wanted) if wanted in permissions

implied(permissions, wanted) if {
	some permission in permissions
	wanted in right("implies", permission)
}

# METADATA
# description: The permissions that some role gives, by name or by implication. Any other grants nothing.
permissions contains permission if {
	some role in roles
	some given in right("roles", role)
	some permission in ({given} | {less | some less in right("implies", given)})
}

roles contains role if some role, _ in data.patrol.rights.roles

roles contains role if some role, _ in data.local.rights.roles

# METADATA
# description: >-
#   What the catalogue says of a reason by a mark (observable, waivable, anonymous). An
#   overlay that says something else of the reason, as its sentence, leaves the marks.
says(reason, mark) := said if said := data.local.catalogue[reason][mark]

else := data.patrol.catalogue[reason][mark]
