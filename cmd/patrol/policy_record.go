package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/record"
)

// PolicyRecordCmd writes decisions of the running server as cases.
type PolicyRecordCmd struct {
	Organization string        `help:"Decisions on this organization alone." placeholder:"NAME"`
	For          time.Duration `help:"Follow decisions for so long, an hour at most." default:"1m" placeholder:"SPAN"`
	Most         int           `short:"n" name:"most" help:"End after so many; 0: all that there are." placeholder:"N"`
	Kept         bool          `help:"Do not follow: write the refusals that the server keeps, of 24 hours at most."`
}

// Help gives examples.
func (*PolicyRecordCmd) Help() string {
	return "Follows the decisions of the running server, allows too, and writes each as a case, a JSON object a line: the request, the input that was decided on, and what is wanted (reason, and status; 200 for what is allowed). patrol policy simulate judges them by another bundle; the input of one is for patrol policy eval and for Rego tests. " +
		"The server keeps refusals only; allows are told while somebody follows. The inventory behind a decision is not in a case: its input holds the facts. No credential, no body, no value of a query and no header but those that say what kind of client asked are in it. " +
		"At most 500 a second are told, 20 of one token; how many were not is said on standard error. Ctrl-C ends it.\n\n" +
		example("patrol policy record --organization acme --for 10m > cases.jsonl", "patrol policy record -n 100 > cases.jsonl", "patrol policy record --kept > refusals.jsonl")
}

// policyCase is a recorded decision as a case: what was asked, on what it was
// decided, and what came of it.
type policyCase struct {
	Title        string          `json:"title"`
	RequestID    string          `json:"request_id"`
	Time         time.Time       `json:"time"`
	Organization string          `json:"organization,omitempty"`
	Policy       string          `json:"policy,omitempty"`
	Revision     string          `json:"revision,omitempty"`
	Request      record.Refused  `json:"request"`
	Input        json.RawMessage `json:"input,omitempty"` // absent where no policy was asked
	Want         caseWanted      `json:"want"`
}

// caseWanted is a reason and the client's status: 200 for what is allowed.
type caseWanted struct {
	Reason string `json:"reason"`
	Status int    `json:"status"`
}

// Run writes them.
func (c *PolicyRecordCmd) Run(ctx context.Context, cli *CLI) error {
	if c.For <= 0 || c.For > admin.MaxFollowed {
		return usagef("--for %s: write a span up to %s, for example 10m", c.For, admin.MaxFollowed)
	}
	if c.Most < 0 {
		return usagef("-n %d: write 0 for all", c.Most)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	written := 0
	write := func(line []byte) error {
		one, err := caseOf(line)
		if err != nil {
			return err
		}
		if written++; c.Most > 0 && written > c.Most {
			return errEnough
		}
		return enc.Encode(one)
	}
	if c.Kept {
		if err := cl.KeptRefusals(ctx, c.Organization, write); err != nil && !errors.Is(err, errEnough) {
			return err
		}
		return nil
	}
	missed, err := cl.Follow(ctx, c.Organization, c.For, c.Most, func() { fmt.Fprintln(os.Stderr, "following decisions; an interrupt ends it") }, write)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s written", counted(written, "case"))
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "; %s came too fast to be told", counted(int(missed), "decision"))
	}
	fmt.Fprintln(os.Stderr)
	return nil
}

// errEnough ends what is read once there is as much as was asked for.
var errEnough = errors.New("enough")

// caseOf makes a case of a record.
func caseOf(line []byte) (*policyCase, error) {
	r, err := readRecord(line)
	if err != nil {
		return nil, err
	}
	out := &policyCase{
		Title: r.Request.Method + " " + r.Request.Path + ": " + r.Reason, RequestID: r.RequestID, Time: r.Time, Organization: r.Organization,
		Policy: r.Policy, Revision: r.Revision, Request: r.Request, Want: caseWanted{r.Reason, r.HTTPStatus},
	}
	if r.Allowed {
		out.Want.Status = http.StatusOK
	}
	if len(r.Facts) == 0 {
		return out, nil
	}
	out.Input, err = inputOf(&r.Refusal)
	return out, err
}

// inputOf is the input of a recorded decision: its facts, and of the request what
// was kept. What was not is absent.
func inputOf(r *record.Refusal) (json.RawMessage, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(r.Facts, &doc); err != nil {
		return nil, fmt.Errorf("the facts of %s: %w", r.RequestID, err)
	}
	q := &r.Request
	http := map[string]any{"method": q.Method, "path": q.Path, "host": q.Host, "protocol": q.Protocol}
	for key, value := range http {
		if value == "" {
			delete(http, key)
		}
	}
	if len(q.Headers) > 0 {
		http["headers"] = q.Headers
	}
	whole := !r.Replay(false).HasQuery()
	if !whole {
		delete(http, "path") // it has its query there
	}
	put := map[string]any{"attributes": map[string]any{"request": map[string]any{"http": http}}}
	if segments, _, err := input.ParsePath(q.Path); err == nil {
		put["parsed_path"] = segments
	}
	if whole {
		put["parsed_query"] = map[string][]string{}
	}
	for key, value := range put {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		doc[key] = text
	}
	return json.Marshal(doc)
}
