# METADATA
# title: Who may do what in the console
# description: |
#   Judges who is logged in, page by page and action by action. The role is that
#   in the organization of the page: the greater of the membership's and of what
#   the login provider's groups give. An absent fact allows nothing.
# schemas:
#   - input:
#       type: object
#       properties:
#         caller:
#           type: object
#           properties:
#             name: {type: string}
#             operator: {type: boolean}
#             role: {type: string}
#             member: {type: boolean}
#         organization: {type: string}
#         token:
#           type: object
#           properties:
#             owner: {type: string}
#             responsible: {type: array, items: {type: string}}
package patrol.console

# METADATA
# title: What may be done
# description: The actions that the caller may do in the organization; without one, what concerns patrol as a whole.
# entrypoint: true
may contains action if {
	input.caller.operator == true
	some action in ["members.write", "operate", "policy.write", "tokens.read", "tokens.review", "tokens.write"]
}

may contains action if {
	input.organization != ""
	some action in by_role[input.caller.role]
}

# METADATA
# description: What each role may; other roles may nothing here.
by_role := {
	"admin": ["members.write", "policy.write", "tokens.read", "tokens.review", "tokens.write"],
	"reviewer": ["tokens.read", "tokens.review"],
}

# METADATA
# title: What may be done on an owner's pages
# description: |
#   On the pages of one token, as it stands in an organization or (without one) as
#   a whole, what its owner may, and what those who answer for its owner, a service
#   account: they see it and ask for it. Its secret is the owner's alone. Names of
#   people, and the requests that were refused, are told in an organization to its
#   members.
# entrypoint: true
own contains action if {
	owner
	some action in ["ask", "rotate", "see"]
}

own contains action if {
	answering
	some action in ["ask", "see"]
}

own contains action if {
	input.caller.operator == true
	some action in ["names", "refusals", "see"]
}

own contains action if {
	concerned
	input.organization != ""
	input.caller.member == true
	some action in ["names", "refusals"]
}

# Requests that were about no organization are the owner's.
own contains "refusals" if {
	owner
	input.organization == ""
}

owner if input.caller.name == input.token.owner

answering if input.caller.name in input.token.responsible

concerned if owner

concerned if answering
