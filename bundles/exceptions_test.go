package bundles_test

import (
	"context"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

func TestAnExceptionThatWouldWaiveNothingIsRefused(t *testing.T) {
	whole := `"reasons": ["token_type_not_allowed"], "owner": "eve", "ticket": "SEC-1"`
	for name, c := range map[string]struct{ exception, problem string }{
		"whole":                  {`{` + whole + `, "until": "2027-01-31T00:00:00Z"}`, ""},
		"ended":                  {`{` + whole + `, "until": "2001-01-31T00:00:00+02:00"}`, ""},
		"the last day of time":   {`{` + whole + `, "until": "2262-04-11T23:47:16Z"}`, ""},
		"a second after time":    {`{` + whole + `, "until": "2262-04-11T23:47:17Z"}`, "data.local.exceptions.x.until: must lie before 2262-04-11"},
		"for ever":               {`{` + whole + `, "until": "9999-12-31T00:00:00Z"}`, "data.local.exceptions.x.until: must lie before 2262-04-11"},
		"no such day":            {`{` + whole + `, "until": "2027-02-30T00:00:00Z"}`, "data.local.exceptions.x.until: must be a time"},
		"a day alone":            {`{` + whole + `, "until": "2027-01-31"}`, "data.local.exceptions.x.until: must be a time"},
		"a number":               {`{` + whole + `, "until": 1}`, "data.local.exceptions.x.until: must be a time"},
		"without an end":         {`{` + whole + `}`, "data.local.exceptions.x.until: is missing"},
		"without a ticket":       {`{"reasons": [], "owner": "eve", "until": "2027-01-31T00:00:00Z"}`, "data.local.exceptions.x.ticket: is missing"},
		"no object":              {`"2027-01-31T00:00:00Z"`, "data.local.exceptions.x: must be an object"},
		"of nobody, for nothing": {`{}`, "data.local.exceptions.x.owner: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), map[string]string{"local/exceptions/data.json": `{"x": ` + c.exception + `}`})
			_, err := bundles.Check(context.Background(), options("", dir), dir)
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("got %v, want %s", err, c.problem)
			}
		})
	}
	dir := write(t, t.TempDir(), map[string]string{"local/data.json": `{"exceptions": []}`})
	if _, err := bundles.Check(context.Background(), options("", dir), dir); err == nil || !strings.Contains(err.Error(), "data.local.exceptions: must be an object") {
		t.Error(err)
	}
}
