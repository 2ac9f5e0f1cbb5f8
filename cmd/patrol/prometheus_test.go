package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// prometheusBinary finds a program of Debian's package, as
// tools/install-test-parts.sh puts it. A missing one fails.
func prometheusBinary(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../.cache/debian/usr/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make parts", err)
	}
	return path
}

func TestAlertsAreValid(t *testing.T) {
	out, err := exec.Command(prometheusBinary(t, "promtool"), "check", "rules", "../../deploy/prometheus/alerts.yaml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEveryQueryOfTheDashboardReturnsData runs the queries of
// deploy/grafana/patrol.json against a real Prometheus that scraped a real
// patrol under traffic.
func TestEveryQueryOfTheDashboardReturnsData(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf("global: {scrape_interval: 500ms}\nscrape_configs:\n- job_name: patrol\n  static_configs: [{targets: [%q]}]\n", w.Config.Diagnostics.Listen))
	cmd := exec.Command(prometheusBinary(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+address, "--log.level=error")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	ask := serverTier(t, w)
	traffic := func() {
		for _, path := range []string{"/api/models/acme/model", "/api/models/open-lab/model", "/nothing/at/all/here/now"} {
			c := &testCase{id: "traffic"}
			c.Request.Method, c.Request.Path, c.Request.Headers = "GET", path, [][2]string{{"authorization", "Bearer {bob_fine}"}}
			ask(t, c)
		}
	}
	queries := dashboardQueries(t)
	if len(queries) < 12 {
		t.Fatalf("only %d queries", len(queries))
	}
	var missing []string
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		traffic()
		missing = missing[:0]
		for _, q := range queries {
			if !returns(t, address, q) {
				missing = append(missing, q)
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("no data for:\n%s\n%s", strings.Join(missing, "\n"), log.String())
}

// dashboardQueries are the dashboard's queries with Grafana's variables filled.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/patrol.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string } `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "10s", "$__range", "1m", "$organization", ".*")
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries = append(queries, fill.Replace(target.Expr))
		}
	}
	return queries
}

func returns(t *testing.T, address, query string) bool {
	t.Helper()
	resp, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return false // not up yet
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any } `json:"result"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return false
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	for _, r := range answer.Data.Result {
		if r.Value[1] != "NaN" {
			return true
		}
	}
	return false
}
