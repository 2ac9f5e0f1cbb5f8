package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/test/canary"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// TestAPlantedSecretFailsTheTest plants one into each kind of thing that patrol
// writes, and sees the search that ends every test complain of it, and of it
// alone.
func TestAPlantedSecretFailsTheTest(t *testing.T) {
	named := func(t *testing.T, w *world, raw string) { // names and texts would be refused
		w.people(t)
		w.do(t, inventory.IssueToken{
			Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Digest: w.digester.Secret(credential.Generate()),
			Grants: []authz.Grant{inventorytest.On("acme", "repo.write", raw)}, // an unknown permission is kept and shown
		})
	}
	file := func(name string) func(*testing.T, *world, string) {
		return func(t *testing.T, w *world, raw string) {
			path := filepath.Join(filepath.Dir(w.Config.DataDir), name)
			write(t, path, raw)
		}
	}
	for name, c := range map[string]struct {
		plant func(*testing.T, *world, string)
		want  string // what is complained of
	}{
		"nothing": {func(*testing.T, *world, string) {}, ""},
		"a log": {func(t *testing.T, w *world, raw string) {
			log, err := os.OpenFile(w.logs, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if _, err := log.WriteString("msg=planted secret=" + raw + "\n"); err != nil {
				t.Fatal(err)
			}
		}, "patrol.log"},
		"a metric": {func(_ *testing.T, w *world, raw string) {
			w.Metrics.Registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", ConstLabels: prometheus.Labels{"secret": raw}}))
		}, "the metrics"},
		"the database": {named, "patrol.db"},
		"the database's log": {func(t *testing.T, w *world, raw string) {
			named(t, w, raw)
			if found, _, err := canary.Find(w.Config.DataDir); err != nil || !strings.Contains(strings.Join(found, " "), "patrol.db-wal") {
				t.Errorf("before the end it is in %v, %v", found, err)
			}
		}, "patrol.db"},
		"a mail": {func(t *testing.T, w *world, raw string) {
			named(t, w, raw)
			waitFor(t, "a mail", func() bool { return len(filesBelow(t, filepath.Join(w.Config.DataDir, "mail"))) > 0 })
		}, "/data/mail/"},
		"a record of a refusal": {file("data/refusals/refusals-1-1.jsonl"), "refusals-1-1.jsonl"},
		"a bundle kept": {func(t *testing.T, w *world, raw string) {
			write(t, filepath.Join(w.Config.DataDir, "bundles", "planted.tar.gz"), tarGz(t, "local/a.rego", "package local.a\n\n# "+raw+"\n"))
		}, "planted.tar.gz"},
		"a backup": {func(t *testing.T, w *world, raw string) {
			named(t, w, raw)
			path := filepath.Join(filepath.Dir(w.Config.DataDir), "planted.gz")
			var backup bytes.Buffer
			if err := w.api(t).Backup(t.Context(), &backup); err != nil {
				t.Fatal(err)
			}
			write(t, path, backup.String())
		}, "planted.gz"},
	} {
		t.Run(name, func(t *testing.T) {
			trap := canary.NewTrap(t)
			w := startApp(trap, nil)
			c.plant(t, w, credential.Generate().Reveal())
			said := trap.Spring()
			if c.want == "" && len(said) > 0 || c.want != "" && !strings.Contains(strings.Join(said, "\n"), c.want) {
				t.Errorf("complained of: %v; want %q", said, c.want)
			}
		})
	}
	t.Run("PostgreSQL", func(t *testing.T) {
		trap := canary.NewTrap(t)
		url := postgrestest.Start(trap).Database(t)
		clean := canary.NewTrap(t)
		named(t, startApp(clean, func(c *Config) { c.Inventory.Database = url }), credential.Generate().Reveal())
		clean.Spring()
		if said := trap.Spring(); !strings.Contains(strings.Join(said, "\n"), "holds a secret") {
			t.Errorf("the search of the server's folder complains of %v", said)
		}
	})
}

// tarGz packs one file.
func tarGz(t *testing.T, name, text string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}
