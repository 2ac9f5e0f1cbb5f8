package main

import (
	"context"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/test/canary"
)

// TestNoSecretIsLeftAnywhere sends every secret in every way, also the wrong
// ones, as Bearer and as Basic, and where no secret belongs. What every test
// leaves is searched when its App ends; that this was searched here, and holds
// what was asked, is seen before.
func TestNoSecretIsLeftAnywhere(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	client := authv3.NewAuthorizationClient(w.client(t))
	asked := 0
	for _, secret := range w.secrets {
		raw := secret.Reveal()
		// The pair lies at each place of base64's groups.
		var pairs []string
		for _, user := range []string{"g", "gi", "git"} {
			pairs = append(pairs, base64.StdEncoding.EncodeToString([]byte(user+":"+raw)))
		}
		headers := []string{"", "Bearer " + raw, "Bearer " + raw + "," + raw, "Bearer " + raw + " x", "Basic " + raw, "Digest " + raw, raw}
		paths := []string{"/api/models/acme/model", "/api/models/acme/model?token=" + raw, "/api/models/" + raw + "/" + raw, "/" + url.PathEscape("git:"+raw) + "@hub", "/" + strings.ReplaceAll(raw, "_", "%5F"), "/" + url.QueryEscape("git:"+raw), "/x" + raw + "x"}
		for _, p := range pairs {
			headers = append(headers, "Basic "+p, "Basic "+p+","+p, "Basic "+p+" x", "Bearer "+p)
			paths = append(paths, "/api/models/acme/model?authorization="+url.QueryEscape("Basic "+p), "/api/models/acme/"+url.PathEscape(p))
		}
		for _, header := range headers {
			for _, path := range paths {
				c := get(path, [2]string{"authorization", header}, [2]string{"user-agent", "git/2 " + header}, [2]string{"x-request-id", raw}, [2]string{"cookie", "t=" + raw})
				r, err := client.Check(context.Background(), c.checkRequest(w))
				if err != nil {
					t.Fatal(err)
				}
				asked++
				canary.Text(t, "the dynamic metadata", []byte(r.GetDynamicMetadata().String()))
			}
		}
	}
	dir := filepath.Dir(w.Config.DataDir)
	waitFor(t, "records of refusals", func() bool { return len(filesBelow(t, filepath.Join(w.Config.DataDir, "refusals"))) > 0 })
	for _, name := range []string{"patrol.log", "data/patrol.db", "data/patrol.db-wal"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("there is no %s to search: %v", name, err)
		}
	}
	t.Logf("%d requests", asked)
}

// filesBelow are the files of a folder that hold anything.
func filesBelow(t testing.TB, dir string) (names []string) {
	t.Helper()
	for name, text := range contents(t, dir) {
		if text != "" {
			names = append(names, name)
		}
	}
	return names
}
