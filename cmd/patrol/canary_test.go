package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestNoSecretIsLeftAnywhere sends every secret in every way, also the wrong
// ones, and searches all that was written: data directory, database, logs, and
// what the metrics show.
func TestNoSecretIsLeftAnywhere(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	conn, err := grpc.NewClient(w.listeners[0].Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, secret := range w.secrets {
		raw := secret.Reveal()
		for _, header := range []string{"Bearer " + raw, "Bearer " + raw + "," + raw, "Bearer " + raw + " x", "Basic " + raw} {
			for _, path := range []string{"/api/models/acme/model", "/api/models/acme/model?token=" + raw, "/api/models/" + raw + "/" + raw} {
				c := &testCase{}
				c.Request.Method, c.Request.Path, c.Request.Headers = "GET", path, [][2]string{{"authorization", header}}
				r, err := authv3.NewAuthorizationClient(conn).Check(context.Background(), c.checkRequest(w))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(r.GetDynamicMetadata().String(), raw) {
					t.Error("the dynamic metadata holds a secret")
				}
			}
		}
	}
	resp, err := http.Get("http://" + w.Config.Diagnostics.Listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	left := map[string][]byte{"metrics": metrics}
	err = filepath.WalkDir(filepath.Dir(w.Config.DataDir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			left[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := search(w, left)
	for _, f := range found {
		t.Errorf("%s holds a secret", f)
	}
	// The search itself is tried: a planted secret is found.
	for _, secret := range w.secrets {
		left["planted"] = []byte("x" + secret.Reveal() + "x")
		break
	}
	if len(search(w, left)) != len(found)+1 {
		t.Error("a planted secret was not found")
	}
	if len(left) < 4 {
		t.Errorf("only %d files were searched", len(left))
	}
}

func search(w *world, left map[string][]byte) (found []string) {
	for name, text := range left {
		for _, secret := range w.secrets {
			if bytes.Contains(text, []byte(secret.Reveal())) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}
