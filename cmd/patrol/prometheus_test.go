package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/test/canary"
	"github.com/patrol-authz/patrol/test/freeaddr"
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
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{breakable(t)} })
	w.populate(t, filepath.Join(casesDir, "world.json"))
	address := freeaddr.For(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf("global: {scrape_interval: 500ms}\nscrape_configs:\n- job_name: patrol\n  static_configs: [{targets: [%q]}]\n", w.Config.Diagnostics.Listen))
	cmd := exec.Command(prometheusBinary(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+address, "--log.level=error",
		"--no-storage.tsdb.wal-compression") // to be searched for secrets
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		canary.Folder(t, filepath.Join(dir, "tsdb"))
	}()
	ask := serverTier(t, w)
	traffic := func() {
		for _, path := range []string{"/api/models/acme/broken", "/api/models/acme/model", "/api/models/open-lab/model", "/nothing/at/all/here/now"} {
			c := &testCase{id: "traffic"}
			c.Request.Method, c.Request.Path, c.Request.Headers = "GET", path, [][2]string{{"authorization", "Bearer {bob_fine}"}}
			ask(t, c)
		}
	}
	board := readDashboard(t)
	queries := board.queries()
	if len(queries) < 18 || len(board.variables()) < 1 {
		t.Fatalf("only %d queries and %d variables", len(queries), len(board.variables()))
	}
	var missing []string
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		traffic()
		missing = missing[:0]
		for _, q := range queries {
			if !returns(t, address, q) {
				missing = append(missing, q.expr)
			}
		}
		for _, v := range board.variables() {
			if !hasValue(t, address, v, "acme") {
				missing = append(missing, v)
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("no data for:\n%s\n%s", strings.Join(missing, "\n"), log.String())
}

// breakable is a bundle with a rule that fails for some requests only.
func breakable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "local/checks/broken/check.rego"), `package local.checks.broken

mark := 1 if "broken" in input.parsed_path

mark := 2 if "broken" in input.parsed_path

reasons contains "policy_denied" if mark == 3
`)
	return dir
}

// dashboard is what is read of deploy/grafana/patrol.json.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string } `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Type  string
			Query json.RawMessage
		}
	}
}

// panelQuery is a query with Grafana's variables filled.
type panelQuery struct {
	expr  string
	above bool // data alone does not do: a query that ends in vector(0) always has some
}

func readDashboard(t *testing.T) (board dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/patrol.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	return board
}

func (d *dashboard) queries() (queries []panelQuery) {
	fill := strings.NewReplacer("$__rate_interval", "10s", "$__range", "1m", "$organization", ".*")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries = append(queries, panelQuery{fill.Replace(target.Expr), strings.Contains(target.Expr, "vector(0)")})
		}
	}
	return queries
}

// variables are the queries that fill the dashboard's variables.
func (d *dashboard) variables() (all []string) {
	for _, v := range d.Templating.List {
		var q struct{ Query string }
		if v.Type == "query" && json.Unmarshal(v.Query, &q) == nil {
			all = append(all, q.Query)
		}
	}
	return all
}

// prometheusAnswers asks Prometheus's API; false while it is not up.
func prometheusAnswers(t *testing.T, address, path, query string, data any) bool {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(text, &answer); err != nil {
		return false
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	return true
}

func returns(t *testing.T, address string, q panelQuery) bool {
	t.Helper()
	var data struct {
		Result []struct{ Value [2]any } `json:"result"`
	}
	if !prometheusAnswers(t, address, "/api/v1/query?query="+url.QueryEscape(q.expr), q.expr, &data) {
		return false
	}
	for _, r := range data.Result {
		if r.Value[1] != "NaN" && (r.Value[1] != "0" || !q.above) {
			return true
		}
	}
	return false
}

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

// hasValue says whether a variable offers a value, asked for as Grafana does.
func hasValue(t *testing.T, address, query, want string) bool {
	t.Helper()
	parts := labelValues.FindStringSubmatch(query)
	if parts == nil {
		t.Fatalf("the variable's query %s is of a kind that is not known here", query)
	}
	var values []string
	return prometheusAnswers(t, address, "/api/v1/label/"+parts[2]+"/values?match[]="+url.QueryEscape(parts[1]), query, &values) && slices.Contains(values, want)
}
