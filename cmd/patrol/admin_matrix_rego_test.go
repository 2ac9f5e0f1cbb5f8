package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/patrol-authz/patrol/authz"
)

// matrixFile holds what the rules were asked while the matrix was tried, for
// rego/matrix to ask it again without a server.
const matrixFile = "../../rego/matrix/data.json"

// askedRules notes what the rules for callers are asked, and what they answer.
type askedRules struct {
	authz.Asker
	mu    sync.Mutex
	noted []notedQuestion
}

type notedQuestion struct {
	asked  map[string]any
	reason string
}

func (a *askedRules) Ask(ctx context.Context, entry string, in, out any) error {
	err := a.Asker.Ask(ctx, entry, in, out)
	if entry != "patrol/admin/decision" || err != nil {
		return err
	}
	var q notedQuestion
	var answer struct{ Reason string }
	if err := errors.Join(copied(in, &q.asked), copied(out, &answer)); err != nil {
		return err
	}
	q.reason = answer.Reason
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted = append(a.noted, q)
	return nil
}

func copied(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// take gives what was noted since it was last called.
func (a *askedRules) take() []notedQuestion {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.noted
	a.noted = nil
	return out
}

// regoMatrix is the file: the operations, and for each situation of a caller
// which operations are answered how.
type regoMatrix struct {
	Operations map[string]any         `json:"operations"`
	Cases      map[string]*regoAnswer `json:"cases"`
	situations map[string]string
}

type regoAnswer struct {
	Input   map[string]any      `json:"input"`
	Answers map[string][]string `json:"answers"`
}

func newRegoMatrix() *regoMatrix {
	return &regoMatrix{Operations: map[string]any{}, Cases: map[string]*regoAnswer{}, situations: map[string]string{}}
}

// add takes what one call of an operation made patrol ask. Names stand for ids.
func (m *regoMatrix) add(caller, organization string, names *strings.Replacer, noted []notedQuestion) error {
	for _, q := range noted {
		operation := q.asked["operation"].(map[string]any)
		id := operation["id"].(string)
		m.Operations[id] = operation
		delete(q.asked, "operation")
		text, err := json.Marshal(q.asked)
		if err != nil {
			return err
		}
		situation := names.Replace(string(text))
		name, ok := m.situations[situation]
		if !ok {
			name = fmt.Sprintf("%s, %s, %d", caller, organization, m.count(caller, organization)+1)
			m.situations[situation] = name
			m.Cases[name] = &regoAnswer{Answers: map[string][]string{}}
			if err := json.Unmarshal([]byte(situation), &m.Cases[name].Input); err != nil {
				return err
			}
		}
		answers := m.Cases[name].Answers
		if !slices.Contains(answers[q.reason], id) {
			answers[q.reason] = append(answers[q.reason], id)
			slices.Sort(answers[q.reason])
		}
	}
	return nil
}

func (m *regoMatrix) count(caller, organization string) (n int) {
	for name := range m.Cases {
		if strings.HasPrefix(name, caller+", "+organization+", ") {
			n++
		}
	}
	return n
}

// check compares with the file, or writes it where that is asked for.
func (m *regoMatrix) check() error {
	text, err := json.MarshalIndent(map[string]any{"admin_matrix": m}, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if os.Getenv("PATROL_UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(matrixFile), 0o755); err != nil { //nolint:gosec // a folder of the repository
			return err
		}
		return os.WriteFile(matrixFile, text, 0o644) //nolint:gosec // a file of the repository
	}
	have, err := os.ReadFile(matrixFile)
	if err == nil && !bytes.Equal(have, text) {
		err = fmt.Errorf("%s is not what patrol asks its rules now: write it anew with PATROL_UPDATE=1 and read what changed", matrixFile)
	}
	return err
}
