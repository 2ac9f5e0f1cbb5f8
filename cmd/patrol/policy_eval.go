package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/patrol-authz/patrol/bundles"
)

// PolicyEvalCmd evaluates a query.
type PolicyEvalCmd struct {
	Query string   `arg:"" help:"A Rego query, for example data.patrol.authz.decision."`
	Paths []string `arg:"" optional:"" type:"path" help:"Folders or tarballs, over the base bundle."`
	Input string   `help:"A file with the input as JSON; - for standard input. By default there is none." placeholder:"FILE"`
}

// Help gives examples.
func (*PolicyEvalCmd) Help() string {
	return "Evaluates with OPA's interpreter, here and not in the server, and prints the value as JSON; of a query with variables or several expressions, each result. " +
		"Rules reach no network. Exit 1: it failed, or is undefined.\n\n" +
		example("patrol policy eval data.patrol.authz.decision ./policy --input input.json", `patrol policy eval 'data.local.checks[name]' ./policy`)
}

// Run evaluates it.
func (c *PolicyEvalCmd) Run(ctx context.Context) error {
	input, err := c.input()
	if err != nil {
		return err
	}
	found, err := bundles.Query(ctx, gateOptions(PolicyConfig{}, nil), c.Query, input, c.Paths...)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("undefined")
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(valueOf(found))
}

// valueOf is the value of a query that has one, or else all of its results.
func valueOf(found rego.ResultSet) any {
	if len(found) == 1 && len(found[0].Expressions) == 1 && len(found[0].Bindings) == 0 {
		return found[0].Expressions[0].Value
	}
	type result struct {
		Bindings    rego.Vars      `json:"bindings,omitempty"`
		Expressions map[string]any `json:"expressions"`
	}
	out := make([]result, len(found))
	for i, r := range found {
		out[i] = result{r.Bindings, map[string]any{}}
		for _, e := range r.Expressions {
			out[i].Expressions[e.Text] = e.Value
		}
	}
	return out
}

func (c *PolicyEvalCmd) input() (*any, error) {
	var text []byte
	var err error
	switch c.Input {
	case "":
		return nil, nil
	case "-":
		text, err = io.ReadAll(os.Stdin)
	default:
		text, err = os.ReadFile(c.Input)
	}
	if err != nil {
		return nil, fmt.Errorf("--input: %w", err)
	}
	var input any
	if err := util.UnmarshalJSON(text, &input); err != nil {
		return nil, usagef("--input: is no JSON: %w", err)
	}
	return &input, nil
}
