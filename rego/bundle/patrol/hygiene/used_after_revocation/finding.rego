# METADATA
# title: Used after its end
# description: >-
#   The token was sent after it was revoked or disabled, or its old secret after
#   it was rotated: a client was forgotten, or the secret is in other hands.
package patrol.hygiene.used_after_revocation

import data.patrol.hygiene

finding := {"how": how, "requests": sum([row.count | some row in rows]), "last": hygiene.last_day(rows)} if count(rows) > 0

else := {"how": "rotated", "requests": 1, "last": substring(input.token.reused_at, 0, 10)} if {
	hygiene.recent("used_after_revocation", input.token.reused_at)
}

rows := hygiene.refused("used_after_revocation", {"token_revoked", "token_disabled"})

how := "revoked" if hygiene.revoked

else := "disabled"
