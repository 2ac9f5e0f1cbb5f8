// Package rego holds the base bundle: the Rego and data that encode the token
// policies, under the root patrol, and the JSON Schema of the input.
package rego

import (
	"embed"
	"io/fs"
)

//go:embed all:bundle
var bundle embed.FS

//go:embed schemas/input.json
var schema []byte

// Base returns the base bundle as a file system: its .manifest at the root,
// tests (*_test.rego) included.
func Base() fs.FS {
	sub, err := fs.Sub(bundle, "bundle")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

// Schema returns the JSON Schema of the input document.
func Schema() []byte { return schema }
