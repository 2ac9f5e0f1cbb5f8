# METADATA
# title: Token
# description: The token behind a credential must be known and not expired. A token that is disabled everywhere is unknown.
package patrol.checks.token

reasons contains "token_unknown" if {
	input.credential.state == "present"
	not input.token
}

reasons contains "token_expired" if {
	input.token
	not input.token.expired == false
}
