package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// reloads is how soon a bundle with many entries decides after its file was
// put in place, and what that costs those who ask meanwhile.
type reloads struct {
	entries int
	active  spread // seconds, from the file's rename to the first answer of the new revision
	p99     spread // of a turn with a reload, by that of the turn before it
	longest spread // answer of such a turn, in ms
}

// manyEntries is a bundle of the operator's own: a list of that many names,
// each looked up by a rule.
func manyEntries(dir string, n, revision int) error {
	var b strings.Builder
	b.WriteString(`{"blocked": {`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"user-%d-%d": true`, revision, i)
	}
	b.WriteString("}}")
	rule := "package local.checks.blocked\n\nreasons contains \"policy_denied\" if data.local.lists.blocked[input.token.owner.name]\n"
	lists := filepath.Join(dir, "local", "lists")
	if err := os.MkdirAll(lists, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "local", "blocked.rego"), []byte(rule), 0o600); err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(dir), "next.json")
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(lists, "data.json"))
}

// measureReloads replaces a bundle's data while requests are on their way.
func measureReloads(o *options, dir string, entries int) (*reloads, error) {
	bundle := filepath.Join(dir, "reload", "policy")
	if err := manyEntries(bundle, entries, 0); err != nil {
		return nil, err
	}
	w := world{tokens: 10_000, organizations: 20}
	without := *o // a peer has no such bundle
	without.peer = ""
	f, err := startFleet(&without, dir, fleetOptions{tokens: w.tokens, organizations: w.organizations, variants: o.variants[:1], bundle: bundle})
	if err != nil {
		return nil, err
	}
	defer f.stop()
	s, q := f.servers[len(f.servers)-1], &questions{messages: w.messages(2000)}
	if err := f.agree(q); err != nil {
		return nil, err
	}
	conns, closeAll, err := dial(s, "unix", 2)
	defer closeAll()
	if err != nil {
		return nil, err
	}
	var active, p99, longest []float64
	for round := range o.rounds {
		calm, _, err := reloadTurn(conns, o.turn, q, nil)
		if err != nil {
			return nil, err
		}
		busy, took, err := reloadTurn(conns, o.turn, q, func() error { return manyEntries(bundle, entries, round+1) })
		if err != nil {
			return nil, err
		}
		active, p99, longest = append(active, took.Seconds()), append(p99, busy.p99/calm.p99), append(longest, busy.longest/1000)
	}
	return &reloads{entries, spreadOf(active), spreadOf(p99), spreadOf(longest)}, nil
}

// reloadTurn asks on one connection at an even rate, and changes the bundle
// meanwhile; on the other it looks for the new revision.
func reloadTurn(conns []*grpc.ClientConn, length time.Duration, q *questions, change func() error) (turn, time.Duration, error) {
	done := make(chan error, 1)
	var t turn
	go func() {
		all, err := openLoop(conns[:1], 64, 500, length, q)
		if err == nil {
			t.p99, t.longest = all.at(0.99), all.at(1)
		}
		done <- err
	}()
	if change == nil {
		err := <-done
		return t, 0, err
	}
	before, err := revision(conns[1], q)
	if err != nil {
		return t, 0, err
	}
	if err := change(); err != nil {
		return t, 0, err
	}
	placed := time.Now()
	for after := before; after == before; time.Sleep(time.Millisecond) {
		if time.Since(placed) > time.Minute {
			return t, 0, fmt.Errorf("the bundle's new revision does not come")
		}
		if after, err = revision(conns[1], q); err != nil {
			return t, 0, err
		}
	}
	took := time.Since(placed)
	return t, took, <-done
}

// revision asks for the revision that answers tell.
func revision(c *grpc.ClientConn, q *questions) (string, error) {
	var answer []byte
	if err := c.Invoke(context.Background(), checkMethod, &q.messages[0], &answer); err != nil {
		return "", err
	}
	var r authv3.CheckResponse
	if err := proto.Unmarshal(answer, &r); err != nil {
		return "", err
	}
	return r.GetDynamicMetadata().GetFields()["revision"].GetStringValue(), nil
}

func (r *reloads) String() string {
	return "a bundle with " + strconv.Itoa(r.entries) + " entries decides " + r.active.String() + " s after its file was put in place; p99 of a turn with a reload by one without " +
		r.p99.String() + ", longest answer " + r.longest.String() + " ms"
}
