package credential_test

import (
	"encoding/base64"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/credential"
)

func escapedTwice(s string) string {
	return url.QueryEscape(strings.ReplaceAll(strings.ReplaceAll(s, "_", "%5F"), "p", "%70"))
}

func TestATokenInAQueryIsFoundWhereverItStands(t *testing.T) {
	issued := credential.Generate().Reveal()
	hf := "hf_" + strings.Repeat("AbCdEfGh", 4) + "Xy"
	for name, c := range map[string]struct{ query, want string }{
		"none":                             {"", ""},
		"none among pairs":                 {"a=b&c=d;e", ""},
		"by name":                          {"access_token=abc", "abc"},
		"by name, in any case":             {"Access_Token=abc", "abc"},
		"by name, escaped":                 {"access%5Ftoken=abc", "abc"},
		"by name, behind a semicolon":      {"a=1;access_token=abc", "abc"},
		"by name, between semicolons":      {"a=1;access_token=abc;b=2", "abc"},
		"by name, in Basic's form":         {"access_token=Bearer+" + issued, issued},
		"as a value":                       {"x=" + issued, issued},
		"as one of several":                {"a=1&t=" + issued + "&b=2", issued},
		"as a value behind a semicolon":    {"a=1;t=" + issued, issued},
		"as a name":                        {issued, issued},
		"as a name with a value":           {"a=1&" + issued + "=1", issued},
		"within a value, behind a space":   {"t[]=x&t=1+" + issued, issued},
		"within a value, behind %20":       {"t=Bearer%20" + issued, issued},
		"within an address":                {"next=https://git:" + issued + "@hub.example/x", issued},
		"within an escaped address":        {"next=" + url.QueryEscape("https://git:"+issued+"@hub.example/x?y=1"), issued},
		"within a word":                    {"t=tok_" + issued, issued},
		"behind a letter":                  {"t=x" + issued, issued},
		"with more behind it":              {"t=" + issued + "-1", issued},
		"with a letter behind it":          {"t=" + issued + "x", issued},
		"a letter escaped":                 {"x=%70" + issued[1:], issued},
		"escaped twice":                    {"x=" + escapedTwice(issued), issued},
		"behind what looks like an escape": {"x=%zz" + issued, issued},
		"behind an escape of its letters":  {"x=%aapi_org_" + strings.Repeat("aB", 17), "api_org_" + strings.Repeat("aB", 17)},
		"of elsewhere":                     {"t=x_" + hf, hf},
		"of elsewhere, behind a letter":    {"t=x" + hf, hf},
		"GitHub's": {
			"t=gho_" + strings.Repeat("aB3", 12) + "&u=ghs_" + strings.Repeat("aB3", 12),
			"gho_" + strings.Repeat("aB3", 12) + " ghs_" + strings.Repeat("aB3", 12),
		},
		"GitHub's, in two parts": {
			"t=github_pat_11AAAAAAA0aB3aB3aB3aB3_" + strings.Repeat("aB3", 19),
			"github_pat_11AAAAAAA0aB3aB3aB3aB3_" + strings.Repeat("aB3", 19),
		},
		"GitLab's":                      {"t=glpat-aB3-aB3_aB3aB3aB3aB3", "glpat-aB3-aB3_aB3aB3aB3aB3"},
		"npm's":                         {"t=1+npm_" + strings.Repeat("aB3", 12), "npm_" + strings.Repeat("aB3", 12)},
		"words of models and packages":  {"search=ptl_checkpointing&path=src/ptl_modelcheckpoint.py&q=models/promptl_tokenization.json&r=x/pnpm_workspaceconfiguration", ""},
		"digests and days":              {"keys=node_npm_" + strings.Repeat("0a", 32) + "&path=runs-hf_20240131123000abcd&revision=exp_hf_" + strings.Repeat("0a", 20) + "&p=highs_0123456789abcdef0123", ""},
		"words of others":               {"search=x/glpat-detection-dataset&file=a/glpat-test-report-2024.txt&q=a/github_pat_tokens_detection_model", ""},
		"a word that begins so":         {"a=hf_transfer&b=npm_config_cache&c=api_org_name&d=ghp_and_gho", ""},
		"a model's name":                {"search=hf-internal-testing/hf_internal-testing-tiny-random", ""},
		"a name that is almost":         {"my_access_token=abc&access_tokens=1&access_token_x", ""},
		"a prefix in another case":      {"x=" + strings.ToUpper(issued[:4]) + issued[4:], ""},
		"three characters, of a cursor": {"cursor=eyJfaWQiOiI2chf_MzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy", ""},
	} {
		var got []string
		for _, s := range credential.InQuery(c.query) {
			got = append(got, s.Reveal())
		}
		want := strings.Fields(c.want)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: %q: %q, want %q", name, c.query, got, want)
			}
		}
		if (len(got) == 0) != (len(want) == 0) {
			t.Errorf("%s: %q: %q", name, c.query, got)
		}
		if refused := credential.CheckQuery(c.query) != nil; refused != (c.want != "") {
			t.Errorf("%s: %q: refused: %v", name, c.query, refused)
		}
	}
}

func TestOfALongQueryNoMoreIsLookedUpThanIsAllowed(t *testing.T) {
	var q strings.Builder
	for range 1000 {
		q.WriteString("&access_token=" + credential.Generate().Reveal())
	}
	if n := len(credential.InQuery(q.String())); n != 4 {
		t.Errorf("%d values of a long query are taken", n)
	}
	if err := credential.CheckQuery("access_token=a,b"); err == nil {
		t.Error("access_token with what no token has is let pass")
	}
}

// A cursor or a signature is base64 of anything: nobody is refused for what stands
// there by chance.
func TestBase64InAQueryIsNoToken(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	const n = 50_000
	for range n {
		raw := make([]byte, 375)
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		if credential.CheckQuery("cursor="+base64.RawURLEncoding.EncodeToString(raw)) != nil {
			refused++
		}
	}
	if refused > 5 {
		t.Errorf("%d of %d cursors are refused", refused, n)
	}
}

// The check is on every request's way.
func TestAUsualQueryTakesNoMemory(t *testing.T) {
	for _, query := range []string{
		"", "recursive=true&expand=false", "author=acme&limit=100&full=true&cursor=eyJfaWQiOiI2NDM", "search=a%20b%2Fc&path=data%2Ftrain%2Ejson",
	} {
		if n := testing.AllocsPerRun(100, func() {
			if credential.CheckQuery(query) != nil {
				t.Errorf("%q is refused", query)
			}
		}); n != 0 {
			t.Errorf("%q takes memory %v times", query, n)
		}
	}
}

func BenchmarkCheckQuery(b *testing.B) {
	for name, query := range map[string]string{
		"none": "", "plain": "recursive=true&expand=false&cursor=eyJfaWQiOiI2NDM1_Q", "escaped": "search=a%20b%2Fc&path=data%2Ftrain%2Ejson",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = credential.CheckQuery(query)
			}
		})
	}
}
