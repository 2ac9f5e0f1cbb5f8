# METADATA
# scope: subpackages
# schemas:
#   - input:
#       type: object
#       properties:
#         now: {type: string}
#         organization:
#           type: object
#           properties:
#             id: {type: string}
#             name: {type: string}
#             type: {type: string}
#             token_policy: {type: string}
#             enforcement: {type: string}
#         token:
#           type: object
#           properties:
#             id: {type: string}
#             display_name: {type: string}
#             kind: {type: string}
#             source: {type: string}
#             purpose: {type: string}
#             created_at: {type: string}
#             expires_at: {type: string}
#             rotated_at: {type: string}
#             reused_at: {type: string}
#             disabled: {type: boolean}
#             owner:
#               type: object
#               properties:
#                 name: {type: string}
#                 type: {type: string}
#                 responsible: {type: array, items: {type: string}}
#             grants:
#               type: array
#               items:
#                 type: object
#                 properties:
#                   entity:
#                     type: object
#                     properties:
#                       type: {type: string}
#                       name: {type: string}
#                   permissions: {type: array, items: {type: string}}
#         membership:
#           type: object
#           properties:
#             role: {type: string}
#             since: {type: string}
#         authorization:
#           type: object
#           properties:
#             state: {type: string}
#             suspended: {type: boolean}
#             changed_at: {type: string}
#             expires_at: {type: string}
#         usage:
#           type: object
#           properties:
#             since: {type: string}
#             last_used_at: {type: string}
#             allowed:
#               type: array
#               items:
#                 type: object
#                 properties:
#                   resource_type: {type: string}
#                   resource: {type: string}
#                   permission: {type: string}
#                   count: {type: integer}
#                   last_at: {type: string}
#             refused:
#               type: array
#               items:
#                 type: object
#                 properties:
#                   reason: {type: string}
#                   count: {type: integer}
#                   last_at: {type: string}
#             networks:
#               type: array
#               items:
#                 type: object
#                 properties:
#                   network: {type: string}
#                   last_at: {type: string}

# METADATA
# title: Hygiene
# description: >-
#   What the findings share. Each finding is a package below this one with a rule
#   `finding`: its details, or undefined where all is well. The input is no
#   request's: it is what holds between a token and an organization and how the
#   token was used, as the schema above says; without a token it is about the
#   organization. An absent fact finds nothing.
package patrol.hygiene

# METADATA
# description: A finding's threshold or words; an overlay's entry comes first.
setting(name, key) := data.local.findings[name][key] if data.local.findings[name][key]

else := data.patrol.findings.catalogue[name][key]

now := time.parse_rfc3339_ns(input.now)

day := ((24 * 60) * 60) * 1000000000

# METADATA
# description: The whole days since a time; negative where it lies ahead. Counted from long before, since OPA's floor of what lies between -1 and 0 is 0.
days_since(time_text) := floor(((now - time.parse_rfc3339_ns(time_text)) / day) + 1000000) - 1000000

# METADATA
# description: Whether a time lies within the last days of a finding's threshold.
recent(name, time_text) if days_since(time_text) < setting(name, "days")

# METADATA
# description: The token still opens something here.
live if {
	not ended
	not revoked
	not input.token.disabled
	input.token.id
}

# METADATA
# description: |
#   The token is made elsewhere (JWT, introspection): its secrets come and go
#   there, and what is known here is an identity without an end.
elsewhere if input.token.source in {"jwt", "introspection"}

ended if days_since(input.token.expires_at) >= 0

revoked if input.authorization.state == "revoked"

# METADATA
# description: Refusals for one of the given reasons within a finding's threshold.
refused(name, reasons) := [row |
	some row in input.usage.refused
	row.reason in reasons
	recent(name, row.last_at)
]

# METADATA
# description: The day of the last of some rows, as people read it.
last_day(rows) := substring(max([row.last_at | some row in rows]), 0, 10)
