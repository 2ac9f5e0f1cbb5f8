package bundles

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reaching are the builtins by which a rule reaches beyond the process.
var reaching = []string{ast.HTTPSend.Name, ast.NetLookupIPAddr.Name}

// capabilities are what rules may call. Without hosts they cannot leave the
// process: a decision would wait for somebody else, and a rule could be made to
// ask addresses that only this machine reaches.
func capabilities(hosts []string) *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = hosts
	if len(hosts) == 0 {
		c.AllowNet = []string{}
		c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool { return slices.Contains(reaching, b.Name) })
	}
	return c
}
