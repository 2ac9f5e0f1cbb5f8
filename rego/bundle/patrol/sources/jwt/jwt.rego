# METADATA
# title: Claims of a JWT
# description: |
#   Says what token the claims are that Envoy verified: input.claims, of the
#   issuer input.source.name. An overlay says it by itself where it has a set
#   data.local.sources.jwt.tokens; then nothing here counts.
# schemas:
#   - input:
#       type: object
#       properties:
#         now: {type: integer}
#         source:
#           type: object
#           properties:
#             kind: {type: string}
#             name: {type: string}
#         claims:
#           type: object
#           additionalProperties: {}
package patrol.sources.jwt

import data.patrol.sources.lib

# METADATA
# title: The token
# description: A set of one, or none where the claims are no token's.
# entrypoint: true
mapped := data.local.sources.jwt.tokens if overlaid

mapped := tokens if not overlaid

overlaid if is_set(data.local.sources.jwt.tokens)

# METADATA
# description: |
#   The identity (id) lasts beyond a single token: issuer, subject and client,
#   and never jti. A token without an end is none.
tokens contains object.union(lib.times, {
	"id": [input.claims.iss, subject, lib.client],
	"owner": lib.owner,
	"display_name": lib.display_name,
	"kind": "fine-grained",
	"grants": lib.grants,
}) if {
	input.claims.iss == input.source.name
	subject := lib.text("sub")
	lib.times.expires_at
	lib.begun
	lib.bearer
}
