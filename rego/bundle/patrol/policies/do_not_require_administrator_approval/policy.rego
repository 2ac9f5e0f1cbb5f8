# METADATA
# title: Do not require administrator approval
# description: Fine-grained tokens may be used without an approval; read and write tokens are refused.
# custom:
#   unscoped: Unauthorized
#   fine_grained: Authorized
package patrol.policies.do_not_require_administrator_approval

reasons contains "token_type_not_allowed" if input.token.kind in {"read", "write"}

requires_approval := false
