// Package scim lets an organization's directory (Okta, Entra ID) keep its
// members: SCIM 2.0 (RFC 7643, RFC 7644), one endpoint for each organization,
// with a bearer token of its own or a token of the inventory that may do just that.
//
// Users and groups are kept as the directory gives them. What follows from them
// is a membership: an active user has the role of the first configured group that
// it is in, or the default one; who is not active, deleted, or has no role, is
// no member. Memberships are changed by the inventory's commands, so that their
// history, the audit and the approvals of tokens are as with any other change.
package scim
