# METADATA
# title: Who may administer what
# description: |
#   Judges the callers of the admin API who come with a token. (Who opens the
#   admin socket may do everything, and no rule is asked.) The input is not a
#   request's: it is what this package's schema says. A caller is let through
#   only where it is shown that it may pass; an absent fact refuses.
# schemas:
#   - input:
#       type: object
#       properties:
#         operation:
#           type: object
#           properties:
#             id: {type: string}
#             scope: {type: string}
#             permission: {type: string}
#             subject: {type: string}
#             in_body: {type: boolean}
#             changes: {type: boolean}
#         caller:
#           type: object
#           properties:
#             kind: {type: string}
#             owner: {type: string}
#             system_owner: {type: boolean}
#             token:
#               type: object
#               properties:
#                 id: {type: string}
#                 kind: {type: string}
#                 source: {type: string}
#                 global: {type: array, items: {type: string}}
#                 ends: {type: boolean}
#                 expires_at: {type: string}
#             approvals:
#               type: array
#               items:
#                 type: object
#                 properties:
#                   organization: {type: string}
#                   ends: {type: boolean}
#                   expires_at: {type: string}
#         decision:
#           type: object
#           properties:
#             on: {type: string}
#             allowed: {type: boolean}
#             reason: {type: string}
#             reasons: {type: array, items: {type: string}}
#         organization: {type: string}
#         target:
#           type: object
#           properties:
#             id: {type: string}
#             owner: {type: string}
#             responsible: {type: array, items: {type: string}}
#         member: {type: string}
#         asked:
#           type: object
#           properties:
#             owner: {type: string}
#             kind: {type: string}
#             global: {type: array, items: {type: string}}
#             grants: {type: integer}
#             beyond: {type: array, items: {type: string}}
#             expires_at: {type: string}
#             person: {type: boolean}
#             organizations: {type: array, items: {type: string}}
#             readable: {type: array, items: {type: string}}
package patrol.admin

# METADATA
# title: The judgement
# description: Whether the caller may, and if not, why, with a sentence to be told.
# entrypoint: true
decision := {"allowed": true, "reason": "allowed", "message": ""} if {
	granted
} else := {"allowed": false, "reason": code, "message": messages[code]} if {
	code := [c | some c in order; c in refusals][0]
}

# METADATA
# title: An operator's token
# description: |
#   One of somebody whom the configuration names in admin.system_owners, with
#   the global permission patrol.operate. Their other tokens can do no more than
#   their grants say.
default operator := false

operator if {
	input.caller.system_owner == true
	input.caller.token.kind == "fine-grained"
	"patrol.operate" in input.caller.token.global
}

# The token passed its own decision, and not because somebody looked away: what
# was waived (observed, excepted, in a grace period) is among its reasons.
accepted if {
	input.decision.allowed == true
	input.decision.on in {"authenticated", "organization"}
	count(input.decision.reasons) == 0
}

# It passed the decision of the organization that the operation is about, which
# asked for the operation's permission.
accepted_here if {
	accepted
	input.decision.on == "organization"
	input.organization != ""
}

granted if {
	accepted
	input.operation.scope == "any"
}

granted if {
	accepted
	operator
	about_others
	by_token
}

granted if {
	accepted_here
	input.operation.scope == "organization"
	input.operation.changes == false
}

granted if {
	accepted_here
	input.operation.scope == "organization"
	input.operation.subject in {"token", "member"}
	about_others
	by_token
	within_organization
}

# A directory keeps the members of the organization: that is what the token's one
# permission is for, and it speaks of many, its own owner among them.
granted if {
	accepted_here
	input.operation.scope == "organization"
	input.operation.id == "provision-members"
}

granted if {
	accepted
	input.operation.scope == "own"
	input.target.owner == input.caller.owner
}

# Who answers for a service account in the organization speaks for it there.
granted if {
	accepted
	input.operation.scope == "own"
	input.operation.id in spoken
	input.caller.owner in input.target.responsible
}

spoken := {"answer-request", "ask-request", "withdraw-request"}

granted if {
	accepted
	input.operation.scope == "self"
	input.target.id == input.caller.token.id
}

granted if {
	accepted
	input.operation.scope == "issue"
	within_own_rights
}

granted if {
	accepted
	input.operation.scope == "check"
	count(input.asked.organizations) > 0
	every organization in input.asked.organizations {
		organization in input.asked.readable
	}
}

# Nobody decides on the own: neither on tokens nor on memberships.
about_others if input.operation.subject == "none"

about_others if {
	input.operation.subject == "token"
	input.target.owner != input.caller.owner
}

about_others if {
	input.operation.subject == "member"
	input.member != input.caller.owner
}

# Which tokens an organization lets in, and how it decides, is changed by people, in the console or
# over the socket.
console_only := {"set-token-policy", "change-settings"}

# Which rules decide, these among them, is changed by who is on the machine.
socket_only := {"set-shadow-bundle", "end-shadow-bundle", "promote-shadow-bundle", "roll-back-bundle", "release-bundle"}

by_token if {
	id := input.operation.id
	not id in console_only
	not id in socket_only
}

# A user belongs to each of the organizations alike: type and address are no
# single one's to change.
within_organization if input.operation.subject == "token"

within_organization if {
	input.operation.subject == "member"
	input.operation.in_body == false
}

within_organization if {
	input.operation.subject == "member"
	input.asked.person == false
}

# A new token is its maker's, does nothing that the one that made it may not do,
# and does not outlive it: neither its own end, nor that of its approval in any of
# the organizations that the new one reaches. What goes beyond is what the maker's
# own token would be refused. One that was made elsewhere makes none: what it made would be an
# administrator's own, which it is not itself, and would outlive its end there.
within_own_rights if {
	input.caller.token.source == "issued"
	input.asked.owner == input.caller.owner
	input.asked.kind == "fine-grained"
	input.asked.grants > 0
	count(input.asked.beyond) == 0
	count(input.asked.global) == 0
	ends_in_time(input.caller.token)
	count(input.asked.organizations) > 0
	every organization in input.asked.organizations {
		some approval in input.caller.approvals
		approval.organization == organization
	}
	every approval in input.caller.approvals {
		ends_in_time(approval)
	}
}

# What is asked for ends no later than what the maker has, if that ends.
ends_in_time(had) if had.ends == false

ends_in_time(had) if {
	time.parse_rfc3339_ns(input.asked.expires_at) <= time.parse_rfc3339_ns(had.expires_at)
}

refusals contains "forbidden"

refusals contains "waived" if {
	input.decision.allowed == true
	count(input.decision.reasons) > 0
}

refusals contains "self_decision" if {
	input.operation.subject in {"token", "member"}
	input.operation.scope in {"organization", "operator"}
	not about_others
}

refusals contains "console_only" if input.operation.id in console_only

refusals contains "socket_only" if input.operation.id in socket_only

refusals contains "operator_only" if input.operation.scope == "operator"

refusals contains "operator_only" if input.asked.person == true

refusals contains "beyond_own_rights" if input.operation.scope == "issue"

refusals contains "organization_forbidden" if input.operation.scope == "check"

# The first that applies is told.
order := ["waived", "console_only", "socket_only", "self_decision", "operator_only", "beyond_own_rights", "organization_forbidden", "forbidden"]

messages := {
	"waived": "the token was let through by a waiver, which is not enough to administer anything",
	"console_only": "a token does not change the token policy: use the console or the admin socket",
	"socket_only": "a token does not change the rules that decide: use the admin socket",
	"self_decision": "a token decides neither on itself nor on other tokens or memberships of its owner",
	"operator_only": "this is for those who run patrol: over the admin socket, or by a system owner's token with the global permission patrol.operate",
	"beyond_own_rights": "a token issues only tokens of its own owner: fine-grained, with no more rights than its own, no global ones, and no later end than its own and that of its approvals there",
	"organization_forbidden": "a request can be checked only where the token may read the organization's tokens (org.tokens.read)",
	"forbidden": "the token may not do this",
}
