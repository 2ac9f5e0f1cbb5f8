package compiled

import "github.com/open-policy-agent/opa/v1/ir"

func (c *compiler) ruleIndex([]*ir.Block, []op) op { return nil }
