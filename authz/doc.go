// Package authz is patrol's vocabulary: what a request, a token, an
// organization and a decision are, and the small interfaces at which the other
// rooms meet. It imports nothing but the standard library, and every arrow
// between rooms points towards it.
//
// A decision takes this way: extauthz hands the pipeline (package decide) a
// [Request]; a [Ruleset]'s [Router] says what the request is about; the
// credential is parsed and found in the inventory as a [Token]; the [Facts]
// between token and [Organization] are gathered; the ruleset's [Evaluator]
// answers with a [Decision]; and the [Outcome] is rendered for the client.
package authz
