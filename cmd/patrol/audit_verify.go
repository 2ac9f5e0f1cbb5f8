package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// AuditExportCmd exports the audit log.
type AuditExportCmd struct {
	After int64 `help:"Only entries after this number." placeholder:"N"`
}

// Help gives an example.
func (*AuditExportCmd) Help() string {
	return "JSON lines, oldest first, each with the hash that covers the entry before and itself.\n\n" + example("patrol audit export > audit.jsonl")
}

// Run exports it.
func (c *AuditExportCmd) Run(ctx context.Context, cli *CLI) error {
	if c.After < 0 {
		return usagef("--after %d: write the number of the last entry that you have", c.After)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	return cl.ExportAudit(ctx, c.After, func(e auditlog.Entry) error { return out.Encode(e) })
}

// AuditSignCmd signs the audit log's head.
type AuditSignCmd struct{}

// Help gives an example.
func (*AuditSignCmd) Help() string {
	return "The signed head says how far the log goes. Kept elsewhere, it shows later whether something was cut off or written anew; " +
		"the server signs one each minute by itself.\n\n" + example("patrol audit sign >> heads.jsonl", "patrol audit verify --heads heads.jsonl")
}

// Run prints it, as one line.
func (*AuditSignCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	head, err := cl.SignAudit(ctx)
	if err != nil {
		return err
	}
	if head == nil {
		return errors.New("the audit log is empty: there is nothing to sign")
	}
	return json.NewEncoder(os.Stdout).Encode(head)
}

// AuditVerifyCmd verifies the audit log.
type AuditVerifyCmd struct {
	Offline bool     `help:"Read the database itself, without a server."`
	Config  string   `help:"With --offline: the server's configuration." type:"path" env:"PATROL_CONFIG" placeholder:"FILE"`
	File    string   `help:"Verify an export in place of the server's log; - is standard input." placeholder:"FILE"`
	Heads   []string `help:"Signed heads that were kept; may be given more than once. Those in the data directory are always looked at." type:"existingfile" placeholder:"FILE"`
	Key     []string `help:"A public key whose heads are believed. Default: that of audit.key in the data directory, else the server's." placeholder:"BASE64"`
}

// Help gives an example.
func (*AuditVerifyCmd) Help() string {
	return "Finds entries that were changed, removed, moved, cut off at the end or added, and says which. A log that was written anew as a whole is found by the heads that were signed before. Exit 1 where something is found.\n\n" +
		example("patrol audit verify", "patrol audit verify --offline --heads /elsewhere/heads.jsonl", "patrol audit verify --file audit.jsonl --heads heads.jsonl")
}

// Run verifies it.
func (c *AuditVerifyCmd) Run(ctx context.Context, cli *CLI) error {
	if c.Offline && c.File != "" {
		return usagef("--offline reads the database, --file an export: give one of them")
	}
	config, err := cli.configured(c.Config)
	if err != nil {
		return err
	}
	heads, err := c.kept(config)
	if err != nil {
		return err
	}
	trusted := c.Key
	if len(trusted) == 0 {
		if key, err := credential.LoadSigningKey(config.auditKeyFile()); err == nil {
			trusted = []string{auditlog.PublicKey(key)}
		}
	}
	var report auditlog.Report
	switch {
	case c.Offline:
		report, err = offline(ctx, config, heads, trusted)
	case c.File != "":
		report, err = c.export(heads, trusted)
	default:
		report, err = online(ctx, cli, heads, trusted)
	}
	if err != nil {
		return err
	}
	return reported(cli, &report)
}

// kept are the signed heads that are not in the database.
func (c *AuditVerifyCmd) kept(config *Config) (heads []auditlog.Head, err error) {
	files := append([]string{filepath.Join(config.DataDir, headsFile)}, c.Heads...)
	for i, name := range files {
		text, err := os.ReadFile(name)
		if i == 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the signed heads: %w", err)
		}
		if i == 0 { // a line that was broken off by a kill is none
			text = text[:bytes.LastIndexByte(text, '\n')+1]
		}
		more, err := auditlog.ReadHeads(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		heads = append(heads, more...)
	}
	return heads, nil
}

func offline(ctx context.Context, config *Config, heads []auditlog.Head, trusted []string) (auditlog.Report, error) {
	s, err := sqlstore.OpenPresent(ctx, config.database())
	if err != nil {
		return auditlog.Report{}, err
	}
	defer s.Close()
	return s.VerifyAudit(ctx, heads, trusted...)
}

// online reads the log from the server, and judges it here. It may be written
// to meanwhile.
func online(ctx context.Context, cli *CLI, heads []auditlog.Head, trusted []string) (auditlog.Report, error) {
	cl, err := cli.client()
	if err != nil {
		return auditlog.Report{}, err
	}
	state, err := cl.AuditState(ctx)
	if err != nil {
		return auditlog.Report{}, err
	}
	if len(trusted) == 0 {
		trusted = []string{state.PublicKey}
	}
	v := auditlog.NewVerifier(append(state.Heads, heads...), trusted...)
	if err := cl.ExportAudit(ctx, 0, func(e auditlog.Entry) error { v.Add(e); return nil }); err != nil {
		return auditlog.Report{}, err
	}
	return v.Finish(*state, false), nil
}

// export verifies what was exported: it ends where it ends.
func (c *AuditVerifyCmd) export(heads []auditlog.Head, trusted []string) (auditlog.Report, error) {
	in := os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return auditlog.Report{}, err
		}
		defer f.Close()
		in = f
	}
	v := auditlog.NewVerifier(heads, trusted...)
	var end auditlog.State
	if err := auditlog.Read(in, func(e auditlog.Entry) error {
		v.Add(e)
		end.Seq, end.Hash = e.Seq, e.Hash
		return nil
	}); err != nil {
		return auditlog.Report{}, fmt.Errorf("%s: %w", c.File, err)
	}
	return v.Finish(end, true), nil
}

// reported shows what was found; problems end the command with exit 1.
func reported(cli *CLI, r *auditlog.Report) error {
	err := cli.print(r, func(t *table) {
		for _, p := range r.Problems {
			t.row(p.Text)
		}
		if len(r.Problems) == 0 {
			t.row(fmt.Sprintf("%d entries, each as it was written; a signed head covers the first %d.", r.Entries, r.Signed))
		}
	})
	if err == nil && len(r.Problems) > 0 {
		err = refused{errors.New("the audit log is not as it was written")}
	}
	return err
}
