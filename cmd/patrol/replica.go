package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// ReplicaCmd holds the commands on replicas.
type ReplicaCmd struct {
	List ReplicaListCmd `cmd:"" help:"List the patrols that serve from the same inventory, as they last said."`
}

// ReplicaListCmd lists replicas.
type ReplicaListCmd struct{}

// Help gives an example.
func (*ReplicaListCmd) Help() string {
	return "Each patrol says twice a minute that it is there. One that was not heard of for five minutes is forgotten.\n\n" + example("patrol replica list")
}

// Run asks the server.
func (*ReplicaListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Replicas(ctx)
	return list(cli, rows, err, "No patrol has said that it is there.", func(t *table, rows []inventory.ReplicaRow) {
		t.row("HOST", "ID", "VERSION", "REVISION", "EVALUATOR", "CHANGE", "STARTED", "SEEN", "NOTE")
		for i := range rows {
			r := &rows[i]
			t.row(r.Host, r.ID, r.Version, dash(r.Revision), dash(r.Evaluator), r.Change, relative(&r.StartedAt), relative(&r.SeenAt), dash(r.Problem))
		}
	})
}

const (
	// heartbeat is how often a patrol says that it is there.
	heartbeat = 30 * time.Second
	// forgotten is after how long without a word it is taken for gone.
	forgotten = 5 * time.Minute
)

// thisReplica is this patrol, as it names itself to the others.
func thisReplica(now time.Time) inventory.ReplicaRow {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return inventory.ReplicaRow{ID: uuid.NewString(), Host: host, Version: version, StartedAt: now}
}

// forgetFormer forgets the patrol that served from this data directory before, which
// may have ended without telling the others; one that serves still says again that
// it is there. It leaves this one's id for the next.
func (a *App) forgetFormer(ctx context.Context) {
	file := filepath.Join(a.Config.DataDir, replicaFile)
	if text, err := os.ReadFile(file); err == nil {
		// A copy of the folder on another host says nothing about that one.
		if id, host, _ := strings.Cut(strings.TrimSpace(string(text)), " "); host == a.here.Host && id != a.here.ID {
			if err := a.Store.ForgetReplica(ctx, id); err != nil && ctx.Err() == nil {
				a.Log.Warn("the replica that served from this data directory before is listed for a while", "error", err)
			}
		}
	}
	if err := replaceFile(file, []byte(a.here.ID+" "+a.here.Host+"\n")); err != nil {
		a.Log.Warn("this replica may be listed for a while after it ends", "error", err)
	}
}

// sayHere tells the others, through the inventory, that this patrol is there,
// until it ends.
func (a *App) sayHere(ctx context.Context) {
	row := a.here
	a.forgetFormer(ctx)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	failing := false
	for {
		row.SeenAt, row.Evaluator, row.Revision, row.Problem, row.Change = a.Clock(), a.evaluatorName(), "", "", a.Follower.Snapshot().Change()
		if r := a.Bundles.Ruleset(); r != nil {
			row.Revision = r.Revision
		}
		if problem := a.Ready(); problem != nil {
			row.Problem = problem.Error()
		}
		err := a.Store.PutReplica(ctx, &row, row.SeenAt.Add(-forgotten))
		if err != nil && !failing && !errors.Is(err, context.Canceled) {
			a.Log.Warn("the other replicas cannot be told of this one", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := a.Store.ForgetReplica(within, row.ID); err != nil {
				a.Log.Warn("the other replicas cannot be told that this one ends", "error", err)
			}
			return
		case <-ticker.C:
		}
	}
}
