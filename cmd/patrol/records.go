package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/record"
)

// decisionRecord is a recorded decision, or a case that patrol policy record made
// of one.
type decisionRecord struct {
	record.Decision
	// Of a case.
	Input json.RawMessage `json:"input"`
	Want  *struct {
		Reason string `json:"reason"`
		Status int    `json:"status"`
	} `json:"want"`
}

// readRecord reads one.
func readRecord(text []byte) (*decisionRecord, error) {
	r := &decisionRecord{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("is no JSON object of a decision: %w", err)
	}
	if r.Want != nil {
		r.Reason, r.HTTPStatus, r.Allowed = r.Want.Reason, r.Want.Status, r.Want.Status == http.StatusOK
		r.Facts = r.Input
	}
	if r.Reason == "" {
		return nil, errors.New("is no recorded decision: it has no reason")
	}
	return r, nil
}

// recorded is what is judged again. Policies that read the query look at the path
// with it.
func (r *decisionRecord) recorded(readsQuery bool) (*preview.Recorded, error) {
	out := &preview.Recorded{
		RequestID: r.RequestID, Time: r.Time, Organization: r.Organization,
		Was: authz.Decision{Allowed: r.Allowed, Reason: r.Reason, Reasons: r.Reasons},
	}
	if len(r.Facts) == 0 {
		return out, nil
	}
	if r.Erased() {
		return nil, errors.New("a part of the facts looked like a secret, and was erased")
	}
	f, err := input.ReadFacts(r.Facts)
	if err != nil {
		return nil, fmt.Errorf("the facts are not whole: %w", err)
	}
	f.Request = r.Replay(readsQuery)
	out.Facts = f
	return out, nil
}

// recordsFlag says where records are read.
type recordsFlag struct {
	Records string `type:"path" help:"A file, or a folder of files *.jsonl, of recorded decisions, a JSON object a line; - for standard input. By default the refusals that the running server keeps." placeholder:"FILE"`
}

// each hands on the texts of records, and where each stands.
func (c *recordsFlag) each(ctx context.Context, cli *CLI, f func(place string, text []byte) error) error {
	if c.Records != "" {
		return eachRecord(c.Records, f)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	n := 0
	return cl.KeptRefusals(ctx, "", func(line []byte) error {
		n++
		return f(fmt.Sprintf("refusal %d", n), line)
	})
}

// eachRecord hands on the texts of records, and where each stands.
func eachRecord(path string, f func(place string, text []byte) error) error {
	if path == "-" {
		return eachText(os.Stdin, "standard input", f)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.jsonl")); err != nil {
			return err
		}
		slices.Sort(files)
	}
	for _, name := range files {
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		err = eachText(in, name, f)
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// longestLine is the most bytes of a line that is read.
const longestLine = 4 << 20

// eachText hands on the JSON objects of some lines: one a line, or one over lines as
// -o json prints it. Empty lines, and those that begin with #, are none.
func eachText(in io.Reader, name string, f func(place string, text []byte) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	var object []byte
	n, begun := 0, 0
	for lines.Scan() {
		n++
		raw := lines.Bytes()
		text := bytes.TrimSpace(raw)
		switch {
		case begun > 0:
			object = append(append(object, raw...), '\n')
			if string(raw) != "}" && len(object) < longestLine {
				continue
			}
			text = object
		case string(raw) == "{":
			object, begun = append(object[:0], "{\n"...), n
			continue
		case len(text) == 0 || text[0] == '#':
			continue
		}
		place := fmt.Sprintf("%s:%d", name, max(begun, 1))
		if begun == 0 {
			place = fmt.Sprintf("%s:%d", name, n)
		}
		begun = 0
		if err := f(place, text); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: cannot be read: %w", name, n+1, err)
	}
	if begun > 0 {
		return f(fmt.Sprintf("%s:%d", name, begun), object)
	}
	return nil
}

// fromTo shows from when to when.
func fromTo(since, until *time.Time) string {
	if since == nil {
		return ""
	}
	return since.UTC().Format(time.RFC3339) + " to " + until.UTC().Format(time.RFC3339)
}
