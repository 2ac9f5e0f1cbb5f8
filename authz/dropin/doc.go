// Package dropin answers Envoy as opa-envoy-plugin does, for policies that are
// moved to patrol as they are: its configuration section, its input, its
// reading of the decision, its CheckResponse. patrol's own facts and its checks
// of requests and credentials have no part in it.
//
// Two things differ on purpose. Where the plugin fails the call with a gRPC
// error, so that it depends on Envoy's configuration whether the request goes
// through, the answer here is a denial in band. And a header that holds CR, LF
// or NUL is dropped.
//
// A [Policy] is one prepared bundle; [Policy.Check] answers one request. Only
// version 3 of the API is spoken: Envoy has none other since 1.18.
package dropin
