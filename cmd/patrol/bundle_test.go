package main

import (
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

func TestTheNoteOnABundleSaysOnlyWhatIsSo(t *testing.T) {
	for want, s := range map[string]bundles.Status{
		"":                               {Revision: "r"},
		"a.rego:3: wrong":                {Error: "a.rego:3: wrong"},
		"the last good one serves":       {LastGood: true},
		"the last good one serves; gone": {LastGood: true, Error: "gone"},
		"replaced by local":              {ReplacedBy: "local"},
	} {
		if got := bundleNote(&s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}
