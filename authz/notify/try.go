package notify

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
	"time"
)

// A mistake in a template would make dead letters of what is told by it. So each
// is tried at the start, on made-up messages.

// try writes every message that there can be, with all that it may tell (two of
// each, then one) and with the least.
func (t *Templates) try() error {
	if t.text == nil || t.html == nil {
		return errors.New("layout.txt or layout.html is missing")
	}
	return eachAudience(func(kind, audience string) error {
		for _, v := range tried(kind, audience) {
			m, err := t.Render(v)
			if err != nil {
				return err
			}
			if m.Subject == "" || m.Text == "" {
				return fmt.Errorf("the template %s.tmpl writes no subject or no text", templateOf(kind, audience))
			}
		}
		return nil
	})
}

func eachAudience(f func(kind, audience string) error) error {
	for _, kind := range Kinds() {
		told := slices.Clone(audiences[kind])
		if slices.Contains(told, Owner) {
			told = append(told, Responsible)
		}
		for _, audience := range told {
			if err := f(kind, audience); err != nil {
				return err
			}
		}
	}
	return nil
}

// tried are made-up messages of a kind.
func tried(kind, audience string) (out []View) {
	for _, n := range []int{2, 1} {
		v := filled(kind, audience, n)
		v.Many = false
		out = append(out, v)
		v.Many = true
		out = append(out, v)
	}
	// What is always there: who and which. The rest may be missing.
	least := View{Kind: kind, Audience: audience, Organization: Organization{Name: "acme", TokenPolicy: "sample"}, Now: sampleTime}
	least.Token = Token{ID: "0", Name: "sample", Kind: "write", Owner: "bob"}
	least.Tokens = []Token{least.Token}
	if kind == AddressConfirmation {
		least.Confirm = &Confirmation{User: "bob", Until: sampleTime}
	}
	if kind == PolicyComing {
		least.Stops = &Stops{}
	}
	out = append(out, least)
	least.Many = true
	return append(out, least)
}

var sampleTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// filled is a message in which nothing is missing, with n of what there may be
// several. New members of a view are filled by themselves.
func filled(kind, audience string, n int) View {
	var v View
	fill(reflect.ValueOf(&v).Elem(), n)
	v.Kind, v.Audience = kind, audience
	return v
}

func fill(v reflect.Value, n int) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(sampleTime))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("sample")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("a view holds a " + v.Kind().String() + ", which fill does not know")
	}
}

// everyBranch runs each branch of each template, whatever its condition says:
// what a message tells seldom, or to some, is tried too.
func (t *Templates) everyBranch(layoutHTML string) error {
	html, err := texttemplate.New("layout.html").Funcs(functions).Parse(layoutHTML)
	if err != nil {
		return err
	}
	layouts := []*texttemplate.Template{unconditional(t.text), unconditional(html)}
	return eachAudience(func(kind, audience string) error {
		m, v := unconditional(t.messages[templateOf(kind, audience)]), filled(kind, audience, 2)
		for _, block := range blocks {
			if m.Lookup(block) == nil {
				continue
			}
			if err := mistake(m.ExecuteTemplate(io.Discard, block, v)); err != nil {
				return fmt.Errorf("try the template %s.tmpl: %w", templateOf(kind, audience), err)
			}
		}
		parts := map[string]string{}
		for _, block := range blocks {
			parts[block] = "sample"
		}
		for _, layout := range layouts {
			if err := mistake(layout.Execute(io.Discard, pageOf(parts, v))); err != nil {
				return fmt.Errorf("try the template %s: %w", layout.Name(), err)
			}
		}
		return nil
	})
}

// mistake leaves out what goes wrong only because a condition that keeps it from
// being run was passed over.
func mistake(err error) error {
	if err == nil {
		return nil
	}
	for _, guarded := range []string{"error calling index", "error calling slice", "nil pointer", "exceeded maximum template depth"} {
		if strings.Contains(err.Error(), guarded) {
			return nil
		}
	}
	return err
}

// unconditional is a template that runs all branches of its conditions, one after
// another.
func unconditional(t *texttemplate.Template) *texttemplate.Template {
	out := texttemplate.New(t.Name()).Funcs(functions)
	for _, part := range t.Templates() {
		tree := part.Tree.Copy()
		if tree == nil {
			continue
		}
		tree.Root = flat(tree.Root)
		if _, err := out.AddParseTree(part.Name(), tree); err != nil {
			panic(err) // only a template of html/template refuses one
		}
	}
	return out
}

func flat(list *parse.ListNode) *parse.ListNode {
	if list == nil {
		return nil
	}
	nodes := list.Nodes
	list.Nodes = nil
	add := func(n parse.Node) { list.Nodes = append(list.Nodes, n) }
	always := func(branch *parse.ListNode) {
		if branch != nil {
			n := ifTrue.Copy().(*parse.IfNode)
			n.List = flat(branch)
			add(n)
		}
	}
	for _, n := range nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			if len(n.Pipe.Decl) > 0 { // a branch needs what its condition declares
				n.List, n.ElseList = flat(n.List), flat(n.ElseList)
				add(n)
				continue
			}
			first, other := n.List, n.ElseList
			n.List, n.ElseList = &parse.ListNode{NodeType: parse.NodeList}, nil
			add(n) // its condition may be wrong too
			always(first)
			always(other)
		case *parse.WithNode:
			other := n.ElseList
			n.List, n.ElseList = flat(n.List), nil
			add(n)
			always(other)
		case *parse.RangeNode:
			other := n.ElseList
			n.List, n.ElseList = flat(n.List), nil
			add(n)
			always(other)
		case *parse.BreakNode, *parse.ContinueNode: // the rest is run too
		default:
			add(n)
		}
	}
	return list
}

// ifTrue is a condition that holds.
var ifTrue = texttemplate.Must(texttemplate.New("").Parse("{{if true}}x{{end}}")).Root.Nodes[0].(*parse.IfNode)
