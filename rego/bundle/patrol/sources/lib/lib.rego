# METADATA
# title: Words of the mappings
# description: |
#   What both mappings of claims say of a token. Which claim tells what is data:
#   data.patrol.sources.claims, and an overlay's data.local.sources.claims first.
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
package patrol.sources.lib

# METADATA
# description: The name of the claim that tells something; an overlay's comes first.
named(what) := data.local.sources.claims[what] if data.local.sources.claims[what]

else := data.patrol.sources.claims[what]

# METADATA
# description: A claim that is a text, and not an empty one.
text(name) := input.claims[name] if {
	is_string(input.claims[name])
	input.claims[name] != ""
}

# METADATA
# description: The user to whom the token belongs.
owner := text(named("owner"))

# METADATA
# description: The client that uses the token, empty where it is not told.
default client := ""

client := [c | some name in named("client"); c := text(name)][0]

# METADATA
# description: What the token is called in listings.
display_name := client if client != ""

else := owner

# METADATA
# description: |
#   A token that is bound to its sender's key (RFC 8705, RFC 9449) is no bearer
#   token: whoever copied it would pass, since the key is not checked here.
bearer if not "cnf" in object.keys(input.claims)

# METADATA
# description: The times that a token may carry, in seconds since 1970.
times[name] := floor(input.claims[claim]) if {
	some name, claim in {"issued_at": "iat", "expires_at": "exp"}
	is_number(input.claims[claim])
	input.claims[claim] >= 1
}

# METADATA
# description: It tells its end, or nothing of one; what is there and is no time is no token's.
ends if times.expires_at

ends if not "exp" in object.keys(input.claims)

# METADATA
# description: It has begun, where it tells when it does.
begun if not "nbf" in object.keys(input.claims)

begun if {
	is_number(input.claims.nbf)
	input.claims.nbf <= input.now
}

# METADATA
# description: |
#   The words of the scope, which is a text (RFC 8693, RFC 9068) or a list, by
#   the first of the named claims that is there.
words := [w | some w in split(scope, " ")] if is_string(scope)

words := [w | some w in scope; is_string(w)] if is_array(scope)

scope := [s | some name in named("scope"); s := input.claims[name]][0]

# METADATA
# description: |
#   Grants as the command token issue takes them, TYPE:NAME=PERMISSION[,PERMISSION],
#   each a word of the scope. Other words grant nothing.
grants := [grant |
	some word in words
	parts := regex.find_all_string_submatch_n(`^([a-z][a-z-]{0,31}):([A-Za-z0-9._/-]{1,300})=([A-Za-z0-9._-]+(?:,[A-Za-z0-9._-]+)*)$`, word, 1)[0]
	grant := {"type": parts[1], "name": parts[2], "permissions": split(parts[3], ",")}
]
