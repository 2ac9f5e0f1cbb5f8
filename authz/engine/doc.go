// Package engine evaluates facts by an activated bundle: it makes the input
// (package input), asks OPA, and reads the result into a decision.
//
// [NewTopdown] evaluates by OPA's own interpreter. Whatever else may evaluate
// Rego later answers as an [authz.Evaluator] too, with [Decode] for its
// results.
package engine
