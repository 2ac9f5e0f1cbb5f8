// Package decide is the pipeline: the one way in which a request is decided,
// called by everything that decides (Envoy's protocol, the API's check, tests).
//
//	route → credential → facts → evaluate → safety net → open request → record
//
// It is closed by default: whatever fails on the way is a refusal with a reason
// of its own, never an allow.
package decide
