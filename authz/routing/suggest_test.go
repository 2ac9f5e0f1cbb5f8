package routing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/routing"
)

// suggested are the entries that are suggested for some lines METHOD PATH, and what
// is left.
func suggested(t *testing.T, base, lines string, organizations ...string) (entries []routing.Entry, told string) {
	t.Helper()
	var table []routing.Entry
	for _, pattern := range strings.Fields(base) {
		table = append(table, routing.Entry{Pattern: pattern, Methods: []string{"GET"}, Permission: &routing.Source{Value: "repo.content.read"}})
	}
	r, err := routing.New(table)
	if err != nil {
		t.Fatal(err)
	}
	var all []routing.Asked
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, routing.Asked{Method: method, Path: path, Requests: 1})
	}
	known := map[string]bool{}
	for _, name := range organizations {
		known[name] = true
	}
	found, left := r.Suggest(all, known)
	var out []string
	for _, s := range found {
		entries = append(entries, s.Entry)
		out = append(out, fmt.Sprintf("%d %s %s %s", s.Requests, strings.Join(s.Methods, ","), s.Pattern, s.Permission.Value))
	}
	for _, a := range left {
		out = append(out, "left "+a.Path)
	}
	return entries, strings.Join(out, "\n")
}

func TestEntriesAreSuggestedByWhatPathsHaveInCommon(t *testing.T) {
	const uuid = "3f2b8c1e-9a4d-4f6b-8e2a-1c5d7e9f0a3b"
	for name, c := range map[string]struct {
		base, lines   string
		organizations []string
		want          string
	}{
		"an organization that is known": {
			lines: "GET /tools/acme/list\nPOST /tools/acme/list\nGET /tools/globex/list", organizations: []string{"acme"},
			want: "2 GET,HEAD /tools/{organization}/list repo.content.read\n1 POST /tools/{organization}/list repo.write",
		},
		"in another case, and later": {
			lines: "GET /v1/tools/Acme/list/3\nDELETE /v1/tools/acme/list/4", organizations: []string{"acme"},
			want: "1 DELETE /v1/tools/{organization}/list/{name} repo.write\n1 GET,HEAD /v1/tools/{organization}/list/{name} repo.content.read",
		},
		"ids": {
			lines: "GET /runs/acme/" + uuid + "/logs\nGET /runs/acme/17/logs\nGET /runs/acme/latest/logs/0123abcd4567", organizations: []string{"acme"},
			want: "2 GET,HEAD /runs/{organization}/{name}/logs repo.content.read\n1 GET,HEAD /runs/{organization}/{name}/logs/{part2} repo.content.read",
		},
		"none is known: what varies first": {
			lines: "GET /x/a/t\nGET /x/b/t\nGET /x/c/t\nGET /x/d/t\nGET /x/e/t",
			want:  "5 GET,HEAD /x/{organization}/t repo.content.read",
		},
		"nothing varies": {lines: "GET /x/a/t\nGET /x/b/t", want: "left /x/a/t\nleft /x/b/t"},
		"first segments are no variable": {
			lines: "GET /a/t\nGET /b/t\nGET /c/t\nGET /d/t\nGET /e/t\nGET /f/t",
			want:  "left /a/t\nleft /b/t\nleft /c/t\nleft /d/t\nleft /e/t\nleft /f/t",
		},
		"an organization at the beginning is no other beginning": {
			lines: "GET /acme/t/u/v\nGET /login/t/u/v", organizations: []string{"acme"},
			want: "1 GET,HEAD /{organization}/t/u/v repo.content.read",
		},
		"many below an organization": {
			lines: "GET /f/acme/a\nGET /f/acme/a/1x\nGET /f/acme/b/c\nGET /f/acme/b/c/d\nGET /f/acme/b/e/d\nGET /f/acme/c/g\nGET /f/acme/d/h\nGET /f/acme/d/i\nPUT /f/acme/d/i/j/k", organizations: []string{"acme"},
			want: "8 GET,HEAD /f/{organization}/{rest...} repo.content.read\n1 PUT /f/{organization}/{rest...} repo.write",
		},
		"what the table serves is not taken": {
			base:  "/api/models/{organization}/{name}",
			lines: "GET /api/m1/acme/x\nGET /api/m2/acme/x\nGET /api/m3/acme/x\nGET /api/m4/acme/x\nGET /api/m5/acme/x", organizations: []string{"globex"},
			want: "left /api/m1/acme/x\nleft /api/m2/acme/x\nleft /api/m3/acme/x\nleft /api/m4/acme/x\nleft /api/m5/acme/x",
		},
		"no path": {lines: "GET /tools/acme/../x\nGET /tools/acme/{organization}\nGET /tools/acme/a%2fb", organizations: []string{"acme"}, want: "left /tools/acme/../x\nleft /tools/acme/{organization}\nleft /tools/acme/a%2fb"},
	} {
		entries, told := suggested(t, c.base, c.lines, c.organizations...)
		if told != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, told, c.want)
		}
		if r, err := routing.New(entries); err != nil || !slices.EqualFunc(r.Entries(), entries, func(routing.Entry, routing.Entry) bool { return true }) {
			t.Errorf("%s: they are no table: %v", name, err)
		}
	}
}
