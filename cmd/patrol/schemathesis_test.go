package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestTheAPIKeepsItsDocument sends what schemathesis makes of the OpenAPI
// document: no request makes a server error, and every answer is as described.
// The socket is asked everything; an administrator what is an administrator's, of
// an organization and a token that are there; and those for whom it is not are let
// through to nothing of it.
func TestTheAPIKeepsItsDocument(t *testing.T) {
	b := startBureau(t)
	b.issueAs("example", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme, globex)})
	handler := b.adminHandler(nil)
	var done atomic.Int64 // answers of 2xx
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			r = r.WithContext(admin.WithActor(r.Context(), operator))
		}
		handler.ServeHTTP(&statusWriter{w, &done}, r)
	}))
	defer server.Close()
	// of are the operations on an organization for which one caller is let through,
	// and another is not.
	of := func(organization, let, not string) (args []string) {
		for _, o := range b.operations() {
			callers := matrix[o.id].let[organization]
			if strings.Contains(o.path, "{organization}") && slices.Contains(callers, let) && !slices.Contains(callers, not) {
				args = append(args, "--include-operation-id", o.id)
			}
		}
		return args
	}
	for _, c := range []struct {
		name, caller, organization, phases string
		operations                         []string
		through                            bool
	}{
		{"socket", "", "", "examples,coverage,fuzzing", nil, true},
		{"administrator", "admin", acme, "coverage", of(acme, "admin", ""), true},
		{"reviewer", "reviewer", acme, "coverage", of(acme, "admin", "reviewer"), false},
		{"administrator of another", "admin", globex, "coverage,fuzzing", of(globex, "admin_elsewhere", "admin"), false},
	} {
		if c.organization == globex && os.Getenv("PATROL_SOAK") == "" {
			continue // it takes a minute; the matrix asks each of these once
		}
		t.Run(c.name, func(t *testing.T) {
			args, config := append([]string{"--phases", c.phases}, c.operations...), "[parameters]\n\"query.seconds\" = 1\n" // decisions are followed for no longer
			if c.caller != "" {
				args = append(args, "--header", "Authorization:Bearer "+b.secrets[c.caller].Reveal())
				config = fmt.Sprintf("[parameters]\n\"path.organization\" = %q\n\"path.id\" = %q\n\"path.user\" = \"bob\"\n", c.organization, b.ids["example"])
			}
			done.Store(0)
			schemathesis(t, server.URL, config, args)
			if n := done.Load(); (n > 0) != c.through {
				t.Errorf("%d requests were let through and answered", n)
			}
		})
	}
}

// statusWriter counts what is answered well, but for the document itself.
type statusWriter struct {
	http.ResponseWriter
	done *atomic.Int64
}

// WriteHeader counts.
func (w *statusWriter) WriteHeader(status int) {
	if status < http.StatusMultipleChoices {
		w.done.Add(1)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives the writer, for deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// schemathesis runs it, with what the configuration fixes.
func schemathesis(t *testing.T, url, config string, args []string) {
	t.Helper()
	python, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	examples, limit := "4", 4*time.Minute
	if os.Getenv("PATROL_SOAK") != "" {
		examples, limit = "300", time.Hour
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "schemathesis.toml"), config)
	// A tarball is bytes to it, which it has to be told.
	write(t, filepath.Join(dir, "tarballs.py"), "import schemathesis\n\nschemathesis.serializer.alias(\"application/gzip\", \"application/octet-stream\")\n")
	cmd := exec.CommandContext(ctx, python, append([]string{
		"-m", "schemathesis.cli", "run", url + "/api/openapi.json",
		"--max-examples", examples, "--seed", "1", "--generation-database", "none", "--no-color",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method",
		"--suppress-health-check", "all", "--warnings", "off",
	}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=tarballs")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out[max(0, len(out)-800):])
}
