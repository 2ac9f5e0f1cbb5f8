# METADATA
# title: Revoked or suspended
# description: An administrator ended or stopped the token's access to this organization. Nothing waives either.
package patrol.checks.revocation

reasons contains "token_revoked" if input.authorization.state == "revoked"

reasons contains "token_suspended" if input.authorization.suspended
