// Package sources knows tokens that are made elsewhere: those whose claims the
// proxy verified (Envoy's jwt_authn), and those that an endpoint answers for
// (RFC 7662). It says who a token is; what it may do is decided as for any
// other, on a record that its first use makes.
//
// Which claims tell what is Rego: data.patrol.sources. What Rego says is checked
// here, and never makes an operator's token or one that nobody has to approve.
// What cannot be said for sure is an error, which allows nothing.
package sources
