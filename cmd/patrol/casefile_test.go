package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

const casesDir = "../../testdata/cases"

// testCase is one decision: a file of testdata/cases.
type testCase struct {
	id    string
	Title string `json:"title"`
	After string `json:"after"` // how long after the inventory was made
	// Inventory makes an inventory of the case's own, in steps as those of
	// world.json, on which it stands where it has none.
	Inventory []json.RawMessage `json:"inventory"`
	Request   struct {
		Method  string      `json:"method"`
		Path    string      `json:"path"`
		Host    string      `json:"host"`
		Headers [][2]string `json:"headers"`
		Body    string      `json:"body"`
	} `json:"request"`
	Want wanted `json:"want"`
	// Strict is what comes of it behind the strict Envoy, where that differs.
	Strict *wanted `json:"strict"`
	// Omit names tiers that the case is left out of, each with its reason.
	Omit map[string]string `json:"omit"`
}

// wanted is a reason, and the HTTP status that the client gets: 200 for what is
// allowed. A status alone is what Envoy answers before it asks.
type wanted struct {
	Reason string `json:"reason"`
	Status int    `json:"status"`
}

// caseTiers are the tiers that a case runs in, and may be left out of.
var caseTiers = []string{"rego", "compiled", "topdown", "server", "raw", "strict"}

// keys are those that an object of a case may have, and the keys of each.
type keys map[string]keys

var caseKeys = keys{
	"title": nil, "after": nil, "inventory": nil, "omit": keys{},
	"request": {"method": nil, "path": nil, "host": nil, "headers": nil, "body": nil},
	"want":    {"reason": nil, "status": nil},
	"strict":  {"reason": nil, "status": nil},
}

func init() {
	for _, tier := range caseTiers {
		caseKeys["omit"][tier] = nil
	}
}

// loadCases are the cases that stand on the inventory of world.json.
func loadCases(t *testing.T) []*testCase {
	t.Helper()
	return slices.DeleteFunc(allCases(t), func(c *testCase) bool { return c.Inventory != nil })
}

// ownCases are those with an inventory of their own.
func ownCases(t *testing.T) []*testCase {
	t.Helper()
	return slices.DeleteFunc(allCases(t), func(c *testCase) bool { return c.Inventory == nil })
}

func allCases(t *testing.T) []*testCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(casesDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*testCase
	for _, file := range files {
		if filepath.Base(file) == "world.json" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCase(file, text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	// By the clock, so that it moves forward only.
	sort.SliceStable(out, func(i, j int) bool { return out[i].span() < out[j].span() })
	return out
}

// parseCase reads a case. What is wrong with one is told with its file and line.
func parseCase(file string, text []byte) (*testCase, error) {
	wrong := func(offset int64, format string, a ...any) error {
		return fmt.Errorf("%s:%d: %s", file, 1+bytes.Count(text[:min(int(offset), len(text))], []byte("\n")), fmt.Sprintf(format, a...))
	}
	c := &testCase{id: strings.TrimSuffix(filepath.Base(file), ".json")}
	if err := json.Unmarshal(text, c); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return nil, wrong(syntax.Offset, "%v", err)
		case errors.As(err, &kind):
			return nil, wrong(kind.Offset, "%v", err)
		}
		return nil, wrong(0, "%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := checkKeys(dec, "the case", caseKeys, wrong); err != nil {
		return nil, err
	}
	if _, err := time.ParseDuration(c.After); c.After != "" && err != nil {
		return nil, wrong(0, "after: %v", err)
	}
	for _, w := range []*wanted{&c.Want, c.Strict} {
		if w != nil && (w.Status < 200 || w.Status > 599) {
			return nil, wrong(0, "a wanted status is %d; say what the client gets, 200 for what is allowed", w.Status)
		}
	}
	if c.Title == "" || c.Request.Method == "" || c.Request.Path == "" || c.Want.Reason == "" {
		return nil, wrong(0, "title, request.method, request.path and want.reason are needed")
	}
	if c.Inventory != nil && len(c.Inventory) == 0 {
		return nil, wrong(0, "inventory is empty; without the key the case stands on world.json")
	}
	for tier, why := range c.Omit {
		if why == "" {
			return nil, wrong(0, "omit.%s gives no reason", tier)
		}
	}
	return c, nil
}

// checkKeys reads one value and refuses keys that its object may not have, or has twice.
func checkKeys(dec *json.Decoder, where string, allowed keys, wrong func(int64, string, ...any) error) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return skipRest(dec, token)
	}
	seen := keys{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		key := fmt.Sprint(name)
		inner, known := allowed[key]
		if !known {
			return wrong(dec.InputOffset(), "%s has an unknown key %q; it may have %s", where, key, strings.Join(sortedKeys(allowed), ", "))
		}
		if _, twice := seen[key]; twice {
			return wrong(dec.InputOffset(), "%s has the key %q twice", where, key)
		}
		seen[key] = nil
		if err := checkKeys(dec, key, inner, wrong); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// skipRest reads on to the end of a list whose beginning was read.
func skipRest(dec *json.Decoder, token json.Token) error {
	depth := 0
	for {
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if token, err = dec.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

func sortedKeys(m keys) (names []string) {
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func (c *testCase) span() time.Duration {
	d, _ := time.ParseDuration(c.After)
	return d
}

// A case that says something else than it means would hold nothing.
func TestAWrongCaseIsRefusedWithItsFileAndLine(t *testing.T) {
	const good = "{\n \"title\": \"t\",\n \"request\": {\n  \"method\": \"GET\",\n  \"path\": \"/\",\n  \"headers\": [[\"a\", \"{b}\"]]\n },\n \"want\": {\n  \"reason\": \"allowed\",\n  \"status\": 200\n },\n" +
		" \"omit\": {\n  \"rego\": \"because\"\n }\n}"
	if c, err := parseCase("x/good.json", []byte(good)); err != nil || c.id != "good" || c.Want.Status != 200 {
		t.Fatalf("%+v %v", c, err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"a misspelt key":          {`"title"`, `"titel"`, `bad.json:2: the case has an unknown key "titel"`},
		"a key in another case":   {`"title"`, `"Title"`, `bad.json:2: the case has an unknown key "Title"`},
		"a key of the request":    {`"path"`, `"paths"`, `bad.json:5: request has an unknown key "paths"`},
		"a key of what is wanted": {`"status"`, `"code"`, `bad.json:10: want has an unknown key "code"`},
		"a misplaced key":         {`"reason"`, `"path"`, `bad.json:9: want has an unknown key "path"`},
		"an unknown tier":         {`"rego"`, `"opa"`, `bad.json:13: omit has an unknown key "opa"; it may have compiled, raw, rego, server, strict, topdown`},
		"no reason for a tier":    {`because`, ``, `omit.rego gives no reason`},
		"a key that is twice":     {`"title": "t",`, `"title": "t", "title": "t",`, `bad.json:2: the case has the key "title" twice`},
		"another kind of value":   {`200`, `"200"`, `bad.json:10: `},
		"no JSON":                 {`"title":`, `"title"`, `bad.json:2: `},
		"two documents":           {"because\"\n }\n}", "because\"\n }\n}\n{}", `bad.json:16: `},
		"no status":               {",\n  \"status\": 200", "", `a wanted status is 0`},
		"an empty inventory":      {`"title": "t",`, `"title": "t", "inventory": [],`, `inventory is empty`},
		"an inventory of texts":   {`"title": "t",`, `"title": "t", "inventory": "x",`, `bad.json:2: `},
		"no reason":               {`allowed`, ``, `want.reason`},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parseCase("x/bad.json", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
