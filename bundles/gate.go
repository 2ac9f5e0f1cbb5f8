package bundles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/patrol-authz/patrol/authz"
)

// passed is what came through the gate.
type passed struct {
	rules    *authz.Ruleset
	warnings []string
}

// gate lets a candidate through or says everything that is wrong with it.
func (o *Options) gate(ctx context.Context, base *loaded, overlays []*loaded) (*passed, error) {
	modules, data := map[string]*ast.Module{}, map[string]any{}
	revisions := []string{}
	roots := map[string]string{}
	all := append([]*loaded{base}, overlays...)
	for i, b := range all {
		if err := b.wake(); err != nil {
			return nil, err
		}
		for _, m := range b.Modules {
			if strings.HasSuffix(m.Path, "_test.rego") {
				continue
			}
			name := strings.TrimPrefix(m.Path, "/")
			if _, twice := modules[name]; twice {
				name = fmt.Sprintf("%s (bundle %d)", name, i)
			}
			modules[name] = m.Parsed
		}
		if err := merge(data, b.Data, ""); err != nil {
			return nil, err
		}
		revisions = append(revisions, b.revision)
		if roots[b.root] != "" {
			roots[b.root] += "+"
		}
		roots[b.root] += b.revision
	}
	out := &passed{rules: &authz.Ruleset{Name: "base", Revision: strings.Join(revisions, "+"), Roots: roots}}
	if len(overlays) > 0 {
		out.rules.Name = "base+local"
	}
	compiler, warnings, err := o.compile(modules)
	if err != nil {
		return nil, err
	}
	out.warnings = warnings
	if out.rules.Catalogue, err = catalogueOf(data, all); err != nil {
		return nil, err
	}
	return out, o.check(ctx, out.rules, compiler, modules, data)
}

// merge puts one bundle's data into the whole; two may not give the same key.
func merge(into, from map[string]any, path string) error {
	for k, v := range from {
		have, there := into[k]
		if !there {
			into[k] = v
			continue
		}
		a, aok := have.(map[string]any)
		b, bok := v.(map[string]any)
		if !aok || !bok {
			return fmt.Errorf("two bundles give data%s.%s", path, k)
		}
		if err := merge(a, b, path+"."+k); err != nil {
			return err
		}
	}
	return nil
}

// compile type-checks against the schema. A type error in an overlay is a
// warning: the schema is ours, the rule is theirs.
func (o *Options) compile(modules map[string]*ast.Module) (*ast.Compiler, []string, error) {
	run := func(schema bool) *ast.Compiler {
		copies := make(map[string]*ast.Module, len(modules))
		for k, m := range modules {
			copies[k] = m.Copy()
		}
		c := ast.NewCompiler().WithUseTypeCheckAnnotations(true).WithCapabilities(capabilities(o.AllowNet))
		if schema {
			var doc any
			if json.Unmarshal(o.Schema, &doc) == nil && doc != nil {
				set := ast.NewSchemaSet()
				set.Put(ast.SchemaRootRef, doc)
				c = c.WithSchemas(set)
				lendSchemas(copies)
			}
		}
		c.Compile(copies)
		return c
	}
	c := run(true)
	if !c.Failed() {
		return c, nil, nil
	}
	var warnings []string
	for _, e := range c.Errors {
		if e.Code != ast.TypeErr || !inOverlay(modules, e.Location) {
			return nil, nil, c.Errors
		}
		warnings = append(warnings, e.Error())
	}
	if c = run(false); c.Failed() {
		return nil, nil, c.Errors
	}
	return c, warnings, nil
}

func inOverlay(modules map[string]*ast.Module, l *ast.Location) bool {
	if l == nil {
		return false
	}
	for name, m := range modules {
		if m.Package.Location != nil && (m.Package.Location.File == l.File || name == l.File) {
			return len(m.Package.Path) > 1 && m.Package.Path[1].Value.Compare(ast.String(rootOverlay)) == 0
		}
	}
	return false
}

// check fills the ruleset in and checks each part of it.
func (o *Options) check(ctx context.Context, rules *authz.Ruleset, compiler *ast.Compiler, modules map[string]*ast.Module, data map[string]any) error {
	store, err := storeOf(data)
	if err != nil {
		return err
	}
	var errs []error
	errs = append(errs, checkReasons(modules, rules.Catalogue)...)
	policies, problems := policiesOf(modules)
	errs = append(errs, problems...)
	errs = append(errs, checkExceptions(data))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range policies {
		p := &policies[i]
		query := fmt.Sprintf("data.%s.policies.%s.requires_approval", p.Root, p.Name)
		rs, err := rego.New(rego.Query(query), rego.Compiler(compiler), rego.Store(store), rego.Input(map[string]any{})).Eval(ctx)
		if err != nil {
			return fmt.Errorf("read whether %s asks for an approval: %w", p.Name, err)
		}
		p.RequiresApproval = rs.Allowed()
	}
	rules.Policies, rules.Findings = policies, findingsOf(modules, data)
	rules.Settings, rules.ReviewRules = settingsRead(modules), reviewRules(modules)
	if rules.Permissions, err = permissionsOf(ctx, compiler, store); err != nil {
		return err
	}
	if err := o.checkInUse(ctx, rules); err != nil {
		return err
	}
	if rules.Router, err = o.Router(data); err != nil {
		return err
	}
	compiled := Compiled{Compiler: compiler, Store: store, Data: data, Revision: rules.Revision}
	if o.Sources != nil {
		if rules.Router, err = o.Sources(ctx, compiled, rules.Router); err != nil {
			return err
		}
	}
	if rules.Evaluator, err = o.Build(ctx, compiled); err != nil {
		return err
	}
	if o.Asker != nil {
		rules.Asker = o.Asker(ctx, compiled, rules.Evaluator)
	}
	return o.probe(ctx, rules)
}

func (o *Options) checkInUse(ctx context.Context, rules *authz.Ruleset) error {
	if o.PoliciesInUse == nil {
		return nil
	}
	used, err := o.PoliciesInUse(ctx)
	if err != nil {
		return fmt.Errorf("ask which policies are in use: %w", err)
	}
	slices.Sort(used)
	for _, name := range used {
		if !rules.HasPolicy(name) {
			return fmt.Errorf("the bundle drops the token policy %s, which organizations use", name)
		}
	}
	return nil
}
