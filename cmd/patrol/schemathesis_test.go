package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestTheAPIKeepsItsDocument sends what schemathesis makes of the OpenAPI
// document: no request makes a server error, and every answer is as described.
func TestTheAPIKeepsItsDocument(t *testing.T) {
	python, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	b := startBureau(t)
	// Ids that the document gives as examples are those of real things.
	b.issueAs("example", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme)})
	handler := b.adminHandler(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(admin.WithActor(r.Context(), operator)))
	}))
	defer server.Close()
	examples, limit := "4", 4*time.Minute
	if os.Getenv("PATROL_SOAK") != "" {
		examples, limit = "300", time.Hour
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-m", "schemathesis.cli", "run", server.URL+"/api/openapi.json",
		"--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", "1", "--generation-database", "none", "--no-color",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method",
		"--suppress-health-check", "all", "--warnings", "off")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out[max(0, len(out)-800):])
}
