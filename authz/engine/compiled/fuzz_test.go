package compiled_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// question is a query over modules and a base document, asked of both
// evaluators.
type question struct {
	modules map[string]string
	options ast.CompileOpts
	query   string
	data    ast.Object
	inputs  []ast.Value
}

// patience ends an evaluation that takes too long: it is not compared. Nor are
// a question's further inputs once all took longer than enough: a fuzzer takes
// ten seconds for a deadlock.
const (
	patience = 3 * time.Second
	enough   = 5 * time.Second
)

// compare asks both evaluators and returns the difference, or "". It counts
// what came of the question. Values are to be written alike, but where several
// rules give one document: which of them wrote a number that is 1 to one and 1.0
// to the other is not defined, and to Rego they are one. Nor where there are
// functions: OPA remembers f(1), and gives it for f(1.0).
func (q *question) compare(t testing.TB, counts map[string]int) string {
	for _, text := range q.modules {
		if strings.Contains(text, "rand.intn") || strings.Contains(text, "uuid.rfc4122") {
			counts["left to chance"]++ // each evaluation has its own
			return ""
		}
	}
	compiler, err := ast.CompileModulesWithOpt(q.modules, q.options)
	if err != nil {
		counts["does not compile"]++
		return ""
	}
	body, err := ast.ParseBody(q.query)
	if err != nil {
		t.Fatal(err)
	}
	query, err := compiler.QueryCompiler().Compile(body)
	if err != nil {
		counts["does not compile"]++
		return ""
	}
	p, err := compiled.New(t.Context(), compiled.Options{Compiler: compiler, Query: body, Data: q.data})
	if refusal := (*compiled.Refusal)(nil); errors.As(err, &refusal) {
		counts["refused"]++
		return ""
	} else if err != nil {
		return err.Error()
	}
	plain, err := ast.JSON(q.data)
	if err != nil {
		t.Fatal(err)
	}
	stores := []storage.Store{inmem.NewFromObject(plain.(map[string]any))}
	began := time.Now()
	for _, in := range q.inputs {
		for _, store := range stores {
			if time.Since(began) > enough {
				counts["took too long"]++
				return ""
			}
			if why := q.compareOne(t, p, compiler, query, store, in, counts); why != "" {
				return why
			}
		}
	}
	return ""
}

func (q *question) compareOne(t testing.TB, p *compiled.Program, c *ast.Compiler, query ast.Body, store storage.Store, in ast.Value, counts map[string]int) string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, gotErr := askCompiled(ctx, p, in)
	want, wantErr := askTopdown(ctx, c, query, store, in)
	switch {
	case ctx.Err() != nil || compiled.Stopped(gotErr) || compiled.Stopped(wantErr):
		counts["took too long"]++
		return ""
	case gotErr != nil && wantErr != nil:
		counts["both fail"]++
		return ""
	case gotErr != nil:
		counts["OPA is asked"]++
		return ""
	case wantErr != nil:
		return fmt.Sprintf("input %v\ncompiled: %v\nOPA fails: %v", in, got, wantErr)
	case got == nil && want == nil:
		counts["both undefined"]++
	case got == nil || want == nil || got.Compare(want) != 0 || !severallySaid(c) && got.String() != want.String():
		return fmt.Sprintf("input %v\ncompiled: %v\nOPA:      %v", in, got, want)
	default:
		counts["same value"]++
	}
	return ""
}

// severallySaid says whether a document has rules that may give the same part of
// it, as o.x and o[k], or several bodies, or is a function.
func severallySaid(c *ast.Compiler) bool {
	rules := map[string]int{}
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			if len(r.Head.Args) > 0 {
				return true
			}
			for ; r != nil; r = r.Else {
				path := m.Package.Path.Extend(r.Head.Ref().GroundPrefix())
				if head := r.Head.Ref(); len(head) > 1 && head.IsGround() {
					path = path[:len(path)-1] // a part of what rules with a variable give, too
				}
				if rules[path.String()]++; rules[path.String()] > 1 {
					return true
				}
			}
		}
	}
	return false
}

// now is when questions are asked.
var now = time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)

func askCompiled(ctx context.Context, p *compiled.Program, in ast.Value) (ast.Set, error) {
	m := p.Begin()
	defer m.End()
	rs, err := m.Results(ctx, compiled.Call{Input: m.FromTerm(in), Now: now})
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	set := ast.NewSet()
	for _, r := range rs {
		// OPA's rego package captures what a query without variables comes to,
		// false as well, which is no result of the query.
		o, holds := ast.NewObject(), true
		r.Term().(ast.Object).Foreach(func(k, v *ast.Term) {
			if !strings.HasPrefix(string(k.Value.(ast.String)), "^term") {
				o.Insert(k, v)
			} else if v.Value.Compare(ast.Boolean(false)) == 0 {
				holds = false
			}
		})
		if !holds {
			continue
		}
		set.Add(ast.NewTerm(o))
	}
	if set.Len() == 0 {
		return nil, nil
	}
	return set, nil
}

func askTopdown(ctx context.Context, c *ast.Compiler, query ast.Body, store storage.Store, in ast.Value) (s ast.Set, err error) {
	defer func() { // some built-ins do, over odd arguments
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	stop := topdown.NewCancel()
	defer context.AfterFunc(ctx, stop.Cancel)()
	rs, err := topdown.NewQuery(query).WithCompiler(c).WithStore(store).WithTransaction(txn).WithInput(ast.NewTerm(in)).WithCancel(stop).WithTime(now).
		WithIndexing(!compiled.Misindexed(c)).Run(ctx)
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	set := ast.NewSet()
	for _, r := range rs {
		o := ast.NewObject()
		for k, v := range r {
			if !k.IsGenerated() && !k.IsWildcard() {
				o.Insert(ast.StringTerm(string(k)), v)
			}
		}
		set.Add(ast.NewTerm(o))
	}
	return set, nil
}

func (q *question) String() string {
	s := "query " + q.query + "\ndata " + q.data.String() + "\n"
	for name, m := range q.modules {
		s += "---- " + name + "\n" + m + "\n"
	}
	return s
}

// random makes a question out of a fuzzer's bytes.
func random(b []byte) *question {
	g := &writer{dice: newDice(b)}
	q := &question{modules: map[string]string{"m.rego": g.module(), "q.rego": second}}
	q.data = ast.NewObject([2]*ast.Term{ast.StringTerm("d"), ast.NewTerm(g.value(3))})
	if g.IntN(3) == 0 {
		q.data.Insert(ast.StringTerm("p"), ast.ObjectTerm([2]*ast.Term{ast.StringTerm("base"), ast.NewTerm(g.value(2))}))
	}
	if g.IntN(3) == 0 {
		q.data.Insert(ast.StringTerm("q"), ast.ObjectTerm([2]*ast.Term{ast.StringTerm("base"), ast.NewTerm(g.value(2))}))
	}
	switch g.IntN(2) {
	case 0:
		q.query = g.one("x = data.p", "x = data.p", "x = data.p", "x = data.q", "x = data.p[y]", "data.p[x] = y", "x = data")
	default:
		q.query = fmt.Sprintf("x = data.p.r%d", g.IntN(g.rules))
	}
	for range 4 {
		q.inputs = append(q.inputs, g.value(3))
	}
	return q
}

// FuzzPrograms compares the evaluators on random programs.
func FuzzPrograms(f *testing.F) {
	for i := range 64 {
		f.Add([]byte{byte(i)})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q := random(b)
		if why := q.compare(t, map[string]int{}); why != "" {
			t.Fatalf("%s\n%s", why, q)
		}
	})
}

// FuzzCases compares them on OPA's cases, with other inputs and with parts of
// their modules changed.
func FuzzCases(f *testing.F) {
	dir := opaFolder(f)
	all := cases.MustLoad(filepath.Join(dir, "v1/test/cases/testdata/v1")).Sorted().Cases
	for i := 0; i < len(all); i += len(all) / 64 {
		f.Add(uint16(i), []byte{byte(i)})
	}
	f.Fuzz(func(t *testing.T, i uint16, b []byte) {
		tc := &all[int(i)%len(all)]
		if len(tc.Env) > 0 || tc.ExperimentalKeywords {
			return
		}
		q := mutated(tc, newDice(b))
		if q == nil {
			return
		}
		if why := q.compare(t, map[string]int{}); why != "" {
			t.Fatalf("%s: %s\n%s", tc.Note, why, q)
		}
	})
}

// TestRandomPrograms is a short run of what the fuzz targets do for hours.
func TestRandomPrograms(t *testing.T) {
	counts := map[string]int{}
	for i := range 200 {
		q := random([]byte{byte(i), byte(i >> 8), 7})
		if why := q.compare(t, counts); why != "" {
			t.Errorf("%d: %s\n%s", i, why, q)
		}
	}
	t.Log(counts)
	if counts["same value"] < 250 {
		t.Errorf("few were compared: %v", counts)
	}
}
