# METADATA
# title: Grants
# description: A fine-grained token needs a grant on the organization or on something in it.
package patrol.checks.grant

import data.patrol.lib

reasons contains "no_grant" if {
	lib.governed
	input.token.kind == "fine-grained"
	not granted
}

granted if count(input.authorization.current) > 0
