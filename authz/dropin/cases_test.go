package dropin_test

import (
	"testing"

	"github.com/patrol-authz/patrol/authz/dropin/dropintest"
)

const casesDir = "../../testdata/dropin"

// fewest is how many recorded answers there are: a case that is lost is seen.
const fewest = 126

// Each recorded answer of opa-envoy-plugin is given again, except those that
// deviations.json lists with a reason.
func TestRecordedAnswers(t *testing.T) {
	cases, err := dropintest.Load(casesDir)
	if err != nil {
		t.Fatal(err)
	}
	deviations, err := dropintest.LoadDeviations(casesDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < fewest {
		t.Errorf("%d cases, want %d", len(cases), fewest)
	}
	equal := 0
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			diff := answer(t, c)
			reason, listed := deviations[c.ID]
			delete(deviations, c.ID)
			switch {
			case diff == "" && listed:
				t.Errorf("answers as recorded, but is listed as a deviation (%s)", reason)
			case diff == "":
				equal++
			case !listed:
				t.Error(diff)
			}
		})
	}
	for id := range deviations {
		t.Errorf("deviations.json lists %s, which is no case", id)
	}
	t.Logf("%d of %d cases answered as recorded", equal, len(cases))
}

func answer(t *testing.T, c *dropintest.Case) string {
	t.Helper()
	policy, err := c.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	message, err := c.Message()
	if err != nil {
		t.Fatal(err)
	}
	response, result := policy.CheckBytes(t.Context(), message)
	if response.GetStatus() == nil {
		t.Fatal("the status is not set: Envoy takes that for an allow")
	}
	if allowed := response.GetStatus().GetCode() == 0; allowed != result.Allowed {
		t.Errorf("the result says allowed %t, the response %t", result.Allowed, allowed)
	}
	if c.Expect.GRPC.Code != "OK" && response.GetStatus().GetCode() == 0 {
		t.Error("allowed where the plugin failed")
	}
	return c.Differs("OK", response)
}
