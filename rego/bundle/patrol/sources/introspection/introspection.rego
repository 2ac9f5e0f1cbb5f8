# METADATA
# title: An introspected token
# description: |
#   Says what token an answer of RFC 7662 is about: input.claims, of the endpoint
#   that the configuration calls input.source.name. An overlay says it by itself
#   where it has a set data.local.sources.introspection.tokens; then nothing here
#   counts.
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
package patrol.sources.introspection

import data.patrol.sources.lib

# METADATA
# title: The token
# description: A set of one, or none where the answer is about no token that is taken.
# entrypoint: true
mapped := data.local.sources.introspection.tokens if overlaid

mapped := tokens if not overlaid

overlaid if is_set(data.local.sources.introspection.tokens)

# METADATA
# description: |
#   Active, and an access token: one that refreshes others has no token_type.
#   The identity (id) is endpoint, subject and client; the answer's own issuer
#   need not be there.
tokens contains object.union(lib.times, {
	"id": [input.source.name, subject, lib.client],
	"owner": lib.owner,
	"display_name": lib.display_name,
	"kind": "fine-grained",
	"grants": lib.grants,
}) if {
	input.claims.active == true
	lower(lib.text("token_type")) == "bearer"
	subject := lib.text("sub")
	lib.begun
	lib.ends
	lib.bearer
}
