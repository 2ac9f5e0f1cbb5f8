# METADATA
# title: The operator's own policies
# description: An overlay's boolean rule data.local.deny denies with no reason of its own.
package patrol.checks.operator

reasons contains "policy_denied" if data.local.deny
