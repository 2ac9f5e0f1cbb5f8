# METADATA
# title: Credential
# description: A route that is neither public nor unmanaged needs a credential.
package patrol.checks.credential

import data.patrol.lib

reasons contains "credential_missing" if {
	input.route.access in {"organization", "authenticated"}
	input.credential.state == "missing"
	not lib.public_read
}
