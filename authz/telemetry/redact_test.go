package telemetry

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNothingThatTheExpressionFindsIsPassedOver: the look beforehand is only to
// spare work.
func TestNothingThatTheExpressionFindsIsPassedOver(t *testing.T) {
	parts := append([]string{"BEARER  ", "ba\u017fic ", "Basic", "0123456789abcdef", "x", " ", "_", "-", "HF_", "\u212a", "é"}, beginnings...)
	found := 0
	for seed := range 50_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		want := secrets.ReplaceAllString(b.String(), "[redacted]")
		if got := Redact(b.String()); got != want {
			t.Fatalf("%q became %q, want %q", b.String(), got, want)
		}
		if want != b.String() {
			found++
		}
	}
	if found < 1000 {
		t.Errorf("only %d texts held a secret", found)
	}
}
