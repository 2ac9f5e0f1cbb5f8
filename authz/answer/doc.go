// Package answer renders an outcome in the form that the client reads: JSON,
// git's plain text, git-lfs, a registry's errors, a gRPC status, or a small page
// for a browser. It knows nothing of Envoy's protocol.
package answer
