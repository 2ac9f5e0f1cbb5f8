package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// decodeError tells what the decoder of YAML says in people's words: with line,
// column and key, and the lines around.
func decodeError(err error) string {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) && wrong.Token != nil {
		return fmt.Sprintf("[%d:%d] %s must be %s", wrong.Token.Position.Line, wrong.Token.Position.Column, keyBefore(wrong.Token), kindOfValue(wrong.DstType))
	}
	var other *yaml.UnexpectedNodeTypeError
	if errors.As(err, &other) && other.Token != nil {
		kind := map[ast.NodeType]string{ast.SequenceType: "a list", ast.MappingType: "a section of keys"}[other.Expected]
		if kind != "" {
			return fmt.Sprintf("[%d:%d] %s must be %s", other.Token.Position.Line, other.Token.Position.Column, keyBefore(other.Token), kind)
		}
	}
	return strings.TrimSpace(yaml.FormatError(err, false, true))
}

// keyBefore is the key whose value a token is.
func keyBefore(t *token.Token) string {
	for t = t.Prev; t != nil; t = t.Prev {
		if t.Type == token.MappingValueType && t.Prev != nil {
			return t.Prev.Value
		}
	}
	return "the value"
}

func kindOfValue(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a section of keys"
	default:
		return "a text"
	}
}

var keyed = regexp.MustCompile(`^([a-z_]+(?:\.[A-Za-z0-9_-]+|\[\d+\])*): `)

// unknownField is what encoding/json says of a key that is none.
var unknownField = regexp.MustCompile(`json: unknown field "([^"]*)"`)

// keyBelow is where a key stands in a section, or below it.
func keyBelow(section ast.Node, key string) *token.Position {
	for _, n := range ast.Filter(ast.MappingValueType, section) {
		if v, ok := n.(*ast.MappingValueNode); ok && v.Key.String() == key {
			return v.Key.GetToken().Position
		}
	}
	return nil
}

// located puts line and column of the key that an error begins with before it.
func located(text []byte, err error) error {
	match := keyed.FindStringSubmatch(err.Error())
	file, broken := parser.ParseBytes(text, 0)
	if match == nil || broken != nil {
		return err
	}
	for key := match[1]; key != ""; key = key[:max(strings.LastIndexAny(key, ".["), 0)] {
		path, broken := yaml.PathString("$." + key)
		if broken != nil {
			continue
		}
		node, broken := path.FilterFile(file)
		if broken != nil || node == nil {
			continue
		}
		at := node.GetToken().Position
		if unknown := unknownField.FindStringSubmatch(err.Error()); unknown != nil {
			if below := keyBelow(node, unknown[1]); below != nil {
				return fmt.Errorf("[%d:%d] %w", below.Line, below.Column, err)
			}
		}
		if _, section := node.(*ast.MappingNode); section && !strings.HasSuffix(key, "]") {
			return fmt.Errorf("[%d] %w", at.Line-1, err) // its key stands on the line before
		}
		return fmt.Errorf("[%d:%d] %w", at.Line, at.Column, err)
	}
	return err
}
