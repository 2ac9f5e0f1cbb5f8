package bundles_test

import (
	"context"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

// TestAReasonThatTellsAClientNothingIsRefused: by the gate, and where a bundle is
// checked or tested.
func TestAReasonThatTellsAClientNothingIsRefused(t *testing.T) {
	const status = `"http_status": 403, "grpc_status": 7`
	for name, c := range map[string]struct{ entry, problem string }{
		"whole":                       {`{` + status + `, "title": "Freeze", "sentence": "{organization} is frozen for {token}", "link": "https://x.example/{permission}"}`, ""},
		"a title that is misspelt":    {`{` + status + `, "titel": "x", "sentence": "{organization} is"}`, `"titel" is no key of a reason; there are outside, allow, http_status, `},
		"a key of another case":       {`{` + status + `, "Title": "x", "sentence": "y"}`, `"Title" is no key of a reason`},
		"no title":                    {`{` + status + `, "sentence": "y"}`, "title is missing"},
		"no sentence":                 {`{` + status + `, "title": "x"}`, "sentence is missing"},
		"a sentence of spaces":        {`{` + status + `, "title": "x", "sentence": " "}`, "sentence is missing"},
		"no sentence, of an allow":    {`{"allow": true, "title": "x"}`, ""},
		"a placeholder of nothing":    {`{` + status + `, "title": "x", "sentence": "{organisation} is"}`, "sentence: {organisation} is filled by nothing; there are {method}, {path}, {resource}, {permission}, {organization}, "},
		"one in the link":             {`{` + status + `, "title": "x", "sentence": "y", "link": "https://x.example/{id}"}`, "link: {id} is filled by nothing"},
		"one that is not closed":      {`{` + status + `, "title": "x", "sentence": "y {organization"}`, "sentence: a { has no }"},
		"one of a decision's params":  {`{` + status + `, "title": "x", "sentence": "see {ticket}", "params": ["ticket"]}`, ""},
		"a status that is no refusal": {`{"http_status": 200, "title": "x", "sentence": "y"}`, "http_status 200 is no status of a refusal"},
		"of the wrong kind":           {`{` + status + `, "title": "x", "sentence": "y", "waivable": "yes"}`, "waivable"},
		"no object":                   {`"x"`, "must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), map[string]string{"local/catalogue/data.json": `{"release_freeze": ` + c.entry + `}`})
			_, checked := bundles.Check(context.Background(), options("", dir), dir)
			_, tested := bundles.Test(context.Background(), options("", dir), dir)
			for by, err := range map[string]error{"check": checked, "test": tested} {
				switch {
				case c.problem == "" && err != nil:
					t.Errorf("%s: %v", by, err)
				case c.problem == "":
				case err == nil || !strings.Contains(err.Error(), "data.local.catalogue.release_freeze (") ||
					!strings.Contains(err.Error(), "/local/catalogue/data.json): ") || !strings.Contains(err.Error(), c.problem):
					t.Errorf("%s: got %v, want %s", by, err, c.problem)
				}
			}
		})
	}
}

func TestARewordedReasonKeepsWhatItDoesNotName(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/data.yaml": "catalogue: {policy_denied: {title: Not now}}"})
	report, err := bundles.Check(context.Background(), options("", dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Ruleset.Catalogue["policy_denied"]; r.Title != "Not now" || r.Sentence != "A rule of the policy denies this request" || r.HTTPStatus != 403 {
		t.Errorf("%+v", r)
	}
	write(t, dir, map[string]string{"local/data.yaml": `catalogue: {policy_denied: {sentence: ""}}`})
	if _, err = bundles.Check(context.Background(), options("", dir), dir); err == nil || !strings.Contains(err.Error(), "/local/data.yaml): sentence is missing") {
		t.Errorf("got %v", err)
	}
}
