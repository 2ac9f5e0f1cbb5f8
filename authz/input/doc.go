// Package input makes the document that Rego sees as `input`.
//
// Its first part is exactly what opa-envoy-plugin gives (attributes,
// parsed_path, parsed_query, parsed_body, truncated_body, version,
// source_principal); its second part is patrol's: the token, the organization
// and what holds between them. Facts that are absent are absent keys, never
// null.
//
// A [Builder] is made once per activated bundle. It knows by [Fields] which
// parts of the document the policy can read, builds those alone, and builds
// them as OPA's own terms: there is no JSON in between. [Document] is the same
// document, whole, as plain JSON, for records and explanations.
package input
