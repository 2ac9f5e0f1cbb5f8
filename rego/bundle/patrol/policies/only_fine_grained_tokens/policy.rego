# METADATA
# title: Only access via fine-grained tokens
# description: Read and write tokens, which reach everything their owner reaches, are refused.
# custom:
#   unscoped: Unauthorized
#   fine_grained: Authorized
package patrol.policies.only_fine_grained_tokens

reasons contains "token_type_not_allowed" if input.token.kind in {"read", "write"}

requires_approval := false
