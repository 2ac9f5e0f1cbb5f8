// Package extauthz speaks Envoy's ext_authz protocol (gRPC, v3): translation
// only. A message that cannot be decoded, a panic and an overload are all
// answered in band, with a status that is set: an unset one, or a gRPC error,
// could become an allow by a proxy's settings.
package extauthz
