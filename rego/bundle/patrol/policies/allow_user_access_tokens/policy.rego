# METADATA
# title: Allow access via User Access Tokens (default)
# description: Every valid token of a member may be used.
# custom:
#   unscoped: Authorized
#   fine_grained: Authorized
package patrol.policies.allow_user_access_tokens

reasons := set()

requires_approval := false
