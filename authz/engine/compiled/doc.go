// Package compiled evaluates Rego as Go closures.
package compiled
