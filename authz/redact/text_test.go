package redact

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// secrets are one of each format, as it is issued.
var secrets = []string{
	"ptl_0aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kP9lO8mN7nM6", "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh", "api_org_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh",
	"ghp_AbCd0123AbCd0123AbCd0123AbCd0123AbCd", "gho_AbCd0123AbCd0123AbCd0123AbCd0123AbCd", "ghs_AbCd0123AbCd0123AbCd0123AbCd0123AbCd",
	"github_pat_11AAAAAAA0AbCd0123AbCd_0123AbCd0123AbCd0123AbCd0123AbCd0123AbCd0123AbCd0123AbCd", "glpat-AbCd-123_bCd0123AbCd", "npm_AbCd0123AbCd0123AbCd0123AbCd0123AbCd",
}

func TestEachFormatHasItsSecretInTheTests(t *testing.T) {
	for _, f := range credential.Formats() {
		if !slices.ContainsFunc(secrets, func(s string) bool { return strings.HasPrefix(s, f.Prefix) }) {
			t.Errorf("no secret begins with %s", f.Prefix)
		}
	}
}

func escapedAll(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		const digits = "0123456789abcdef"
		b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
	}
	return b.String()
}

// A credential that people put where none belongs is replaced in each form.
func TestCredentialsAreReplacedInEveryForm(t *testing.T) {
	for _, secret := range secrets {
		forms := []string{
			secret, strings.ToUpper(secret), "tok_" + secret, "tok" + secret, "x9" + secret,
			strings.ReplaceAll(strings.ReplaceAll(secret, "_", "%5F"), "-", "%2d"), url.QueryEscape("git:" + secret),
			escapedAll(secret[:1]) + secret[1:], secret[:9] + escapedAll(secret[9:10]) + secret[10:], escapedAll(secret), url.PathEscape(escapedAll(secret)),
			secret[:len(secret)-1] + escapedAll(secret[len(secret)-1:]),
		}
		for _, user := range []string{"", "g:", "gi:", "git:", "é?:"} {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				encoded := e.EncodeToString([]byte(user + secret))
				forms = append(forms, encoded, url.PathEscape(strings.ReplaceAll(encoded, "+", "%2B")))
			}
		}
		for _, form := range forms {
			got := Text("/api/models/acme/" + form + "/x%3A" + form + " and more")
			if !strings.Contains(got, Redacted) || strings.Contains(got, form[len(form)-8:]) && !strings.Contains(form, "=") {
				t.Errorf("%s became %s", form, got)
			}
			if !strings.HasPrefix(got, "/api/models/acme/") || !strings.HasSuffix(got, " and more") {
				t.Errorf("the text became %s", got)
			}
		}
	}
}

func TestWhatIsReplacedAndWhatStays(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"got ptl_0123456789abcdef.":         "got [redacted].",
		"two: " + secrets[0] + secrets[1]:   "two: [redacted]",
		"a%2Fhf_abcdefghijklmnopqrstuvwxyz": "a%2F[redacted]",
		"/x/%68f_abcdefghijklmnop%2Fy":      "/x/[redacted]%2Fy",
		"/x/%2568f_abcdefghijklmnop%252Fy":  "/x/[redacted]%252Fy",
		"a%aapi_org_abcdefghijklmnop b":     "a%a[redacted] b",
		"curl gho_AbCd0123AbCd0123AbCd":     "curl [redacted]",
		"Bearer abcdefgh, and more":         "[redacted], and more",
		"basic   dXNlcjpwYXNz":              "[redacted]",
		"x=Bearer%20abcdefgh&y":             "x=[redacted]&y",
		"_bearer abcdefgh":                  "_[redacted]",

		"a bearer of news":                 "a bearer of news",
		"forbearer abcdefgh":               "forbearer abcdefgh",
		"/api/models/acme/ptl_short":       "/api/models/acme/ptl_short",
		"hf_transfer hf_hub/2.4.0 hf_xet":  "hf_transfer hf_hub/2.4.0 hf_xet",
		"HF_HUB_ENABLE_HF_TRANSFER":        "HF_HUB_ENABLE_HF_TRANSFER",
		"hf_internal-testing-tiny-random":  "hf_internal-testing-tiny-random",
		"hf-internal-testing/tiny-random":  "hf-internal-testing/tiny-random",
		"Llama-2-7b-hf_finetuned_model_v2": "Llama-2-7b-hf_finetuned_model_v2",
		"npm_config_user_agent":            "npm_config_user_agent",
		"npm_lifecycle_event=x":            "npm_lifecycle_event=x",
		"laughs_at_long_words_everywhere":  "laughs_at_long_words_everywhere",
		"ghp_and_gho_of_many_words_here":   "ghp_and_gho_of_many_words_here",
		"github_pat_docs":                  "github_pat_docs",
		"/lfs/objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "",
		"01a21090-d287-7283-ae19-44880dccbef0":                                          "",
		"01A21090-D287-7283-AE19-44880DCCBEF0":                                          "",
		"/api/models/acme/a-model_with-a_long-name-that-tells-nothing":                  "",
		"/a%20b%2Fc%zz%":              "",
		"aGZfB0bFwdGxfcHRsX":          "",
		"cHRsX":                       "",
		strings.Repeat("cHRsXw==", 9): "",
		base64.StdEncoding.EncodeToString([]byte("a text of which nobody need be afraid, ptl_ short")):       "",
		base64.StdEncoding.EncodeToString([]byte("hf_transfer, npm_config_cache and github_pat_ are words")): "",
	} {
		if want == "" {
			want = text
		}
		if got := Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestNothingThatAnExpressionFindsIsPassedOver: what is found by hand is what an
// expression says.
func TestNothingThatAnExpressionFindsIsPassedOver(t *testing.T) {
	var alternatives []string
	parts := []string{"BEARER  ", "bearer ", "basic ", "Basic", "0123456789abcdef", "abcdefgh", "x", " ", "_", "-", ".", "HF_", "é", "ghpat", "hf"}
	for _, f := range credential.Formats() {
		rest := "[A-Za-z0-9" + regexp.QuoteMeta(f.Joints) + "]"
		alternatives = append(alternatives, f.Prefix+rest+"{"+map[int]string{12: "12", 16: "16"}[f.Least]+",}[A-Za-z0-9_-]*")
		parts = append(parts, f.Prefix, f.Prefix[:len(f.Prefix)-1])
	}
	tokens := regexp.MustCompile(`(?i)(?:` + strings.Join(alternatives, "|") + `)`)
	schemes := regexp.MustCompile(`(?:^|[^A-Za-z0-9])((?i:bearer|basic) +[A-Za-z0-9._~+/=-]{8,})`)
	found := 0
	for seed := range 50_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		var b strings.Builder
		for range 1 + r.IntN(8) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		text := b.String()
		want, got := map[int]bool{}, map[int]bool{}
		for _, at := range tokens.FindAllStringIndex(text, -1) {
			for i := at[0]; i < at[1]; i++ {
				want[i] = true
			}
		}
		for _, at := range schemes.FindAllStringSubmatchIndex(text, -1) {
			for i := at[2]; i < at[3]; i++ {
				want[i] = true
			}
		}
		Request{}.find(text, func(start, end int) {
			for i := start; i < end; i++ {
				got[i] = true
			}
		})
		for i := range len(text) {
			if want[i] && !got[i] || got[i] && !want[i] {
				t.Fatalf("%q: the character %d (%q): found %v, by the expression %v", text, i, text[i], got[i], want[i])
			}
		}
		if len(want) > 0 {
			found++
		}
	}
	if found < 1000 {
		t.Errorf("only %d texts held a secret", found)
	}
}

// What base64 makes of a prefix has an upper-case letter, but for two, and no slash:
// what has none need not be searched, and pieces of a path are apart.
func TestMarksHaveAnUpperCaseLetterAndNoSlash(t *testing.T) {
	if len(marks) != 3*len(credential.Formats()) {
		t.Errorf("%d marks", len(marks))
	}
	for _, m := range marks {
		if len(m.text) < 3 || strings.ContainsAny(m.text, "/+") {
			t.Errorf("the mark %q", m.text)
		}
		if strings.ContainsFunc(m.text, unicode.IsUpper) == slices.Contains(lowerMarks, m.text) {
			t.Errorf("the mark %q: among those without an upper-case letter: %v", m.text, lowerMarks)
		}
	}
	if len(lowerMarks) > 2 {
		t.Errorf("%v have no upper-case letter: each is looked for in each id", lowerMarks)
	}
}

// The one whose mark has no upper-case letter is found where nothing else has.
func TestATokenInBase64WithoutAnUpperCaseLetterIsFound(t *testing.T) {
	for _, prefix := range []string{"gho_", "ghs_"} {
		text := base64.RawStdEncoding.EncodeToString([]byte("n" + prefix + "znnznnznnznnznnznnznn"))
		if strings.ContainsFunc(text[1:], unicode.IsUpper) {
			t.Fatalf("%s has an upper-case letter", text)
		}
		if got := Text("/" + text); got != "/"+Redacted {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// Tokens are letters, digits and few others, of which base64 makes no slash either.
func TestBase64OfATokenHasNoSlash(t *testing.T) {
	const of = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
	for _, a := range of {
		for _, b := range of {
			for _, c := range of {
				if got := base64.StdEncoding.EncodeToString([]byte(string([]rune{a, b, c}))); strings.ContainsAny(got, "/+") {
					t.Fatalf("%c%c%c is %s", a, b, c, got)
				}
			}
		}
	}
}

// Of what is encoded by chance nothing is taken out: a mark alone is none.
func TestBase64OfAnythingStays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	replaced := 0
	const n = 20_000
	for range n {
		raw := make([]byte, 300)
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		if text := base64.StdEncoding.EncodeToString(raw); Text(text) != text {
			replaced++
		}
	}
	if replaced > 0 {
		t.Errorf("of %d texts %d are changed", n, replaced)
	}
}

// A text that somebody made so costs no more than its length.
func TestAHostileTextIsReadInTime(t *testing.T) {
	for _, piece := range []string{"aGZf", "cHRsXw==", "ptl_", "hf_a", "%2525", "bearer ", "%aGZf", "-_"} {
		text := strings.Repeat(piece, 60_000/len(piece))
		best := time.Hour
		for range 5 { // others may have the processor meanwhile
			began := time.Now()
			Text(text)
			best = min(best, time.Since(began))
		}
		if best > 100*time.Millisecond { // it is a few
			t.Errorf("60 kB of %q take %v", piece, best)
		}
	}
}

// sent is a request by its credential headers.
type sent struct {
	authz.Request
	headers [][2]string
}

func (s sent) EachHeader(f func(name, value string) bool) {
	for _, h := range s.headers {
		if !f(h[0], h[1]) {
			return
		}
	}
}

// TestWordsOfTheRequestsOwn are taken out of what is shown of it.
func TestWordsOfTheRequestsOwn(t *testing.T) {
	long := strings.Repeat("ab/", 300) // longer than what is looked for
	for _, c := range []struct{ header, value, text, want string }{
		{"authorization", "Bearer opaque-secret", "/x/opaque-secret/y", "/x/[redacted]/y"},
		{"authorization", "Bearer opaque-secret", "/x/opaque%2Dsecret/y", "/x/[redacted]/y"},
		{"authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("robert:opaque-secret")), "/x/opaque-secret", "/x/[redacted]"},
		{"cookie", "a=b; session=S3CRETvalue", "/x/S3CRETvalue", "/x/[redacted]"},
		{"authorization", "Signature keyId=k,signature=S3CRETvalue==", "S3CRETvalue", "[redacted]"},
		{"x-key", "opaque-secret", "/x/opaque-secret", "/x/[redacted]"},
		{"x-other", "opaque-secret", "/x/opaque-secret", "/x/opaque-secret"},
		{"authorization", long, "/x/" + long + "/y", "/x/[redacted]/y"},
		{"authorization", long, "/x/" + long[:300] + "!" + long, "/x/[redacted]![redacted]"},
		{"authorization", "Bearer short", "/x/short", "/x/short"},
		{"authorization", "Bearer opaque-secret", strings.Repeat("x", 5000), "[redacted]"},
		{"cookie", cookies(400), "of a request with too many nothing is shown", "[redacted]"},
		{"cookie", cookies(400), "GET", "GET"},
		{"cookie", strings.Repeat("opaque-secret; ", 400), "one of them: opaque-secret", "one of them: [redacted]"},
	} {
		r := Headers{"X-Key"}.Of(sent{headers: [][2]string{{c.header, c.value}}})
		if got := r.Text(c.text); got != c.want {
			t.Errorf("%.40s: %.80q became %.80q, want %.80q", c.value, c.text, got, c.want)
		}
	}
}

func cookies(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "c%d=value-of-%d; ", i, i)
	}
	return b.String()
}

// TestOfASecretNoBeginningIsShown wherever a text is cut.
func TestOfASecretNoBeginningIsShown(t *testing.T) {
	const secret = "S3CRET-of-mine-in-no-known-format"
	r := Headers(nil).Of(sent{headers: [][2]string{{"authorization", "Bearer " + secret}}})
	for at := range 4200 {
		for _, most := range []int{200, 1024, 5000} {
			got := r.Beginning("/"+strings.Repeat("x", at)+secret+"/"+strings.Repeat("y", 4200), most)
			if strings.Contains(got, secret[:6]) || len(got) > most+len("…") {
				t.Fatalf("behind %d others, %d shown: …%s", at, most, got[max(0, len(got)-80):])
			}
		}
	}
	if got := r.Beginning("/"+strings.Repeat("x", 990)+secret, 1024); !strings.HasSuffix(got, "[redacted]") {
		t.Errorf("what is there is cut: …%s", got[900:])
	}
	if got := r.Beginning("/plain", 200); got != "/plain" {
		t.Errorf("a short text is %q", got)
	}
	if got := r.Beginning(strings.Repeat("é", 150), 201); got != strings.Repeat("é", 100)+"…" {
		t.Errorf("a letter is cut: %q", got)
	}
}

// TestAHostileRequestIsReadInTime: who asks chooses the words and the texts.
func TestAHostileRequestIsReadInTime(t *testing.T) {
	var nested strings.Builder
	for i := range 250 {
		fmt.Fprintf(&nested, "%s;", strings.Repeat("a", 8+i))
	}
	for name, c := range map[string]struct{ cookie, path string }{
		"one word, often": {strings.Repeat("aaaaaaaa;", 6000), "/" + strings.Repeat("aaaaaaaa", 7000)},
		"many words":      {cookies(3000), "/" + strings.Repeat("value-of-7", 6000)},
		"one in another":  {nested.String(), "/" + strings.Repeat("a", 60_000)},
		"in escapes":      {nested.String(), "/" + strings.Repeat("%252561", 9000)},
	} {
		best := time.Hour
		for range 5 {
			began := time.Now()
			r := Headers(nil).Of(sent{headers: [][2]string{{"cookie", c.cookie}}})
			r.Text(c.path)
			r.Text(c.path[:4096])
			r.Beginning(c.path, 1024)
			best = min(best, time.Since(began))
		}
		if best > 100*time.Millisecond {
			t.Errorf("%s: %v", name, best)
		}
	}
}

func TestATextWithoutASecretIsItself(t *testing.T) {
	for _, text := range []string{"01a21090-d287-7283-ae19-44880dccbef0", "/api/models/acme/model", "huggingface_hub/2.4.0; python/3.12.3"} {
		if n := testing.AllocsPerRun(100, func() { Text(text) }); n != 0 {
			t.Errorf("%q takes memory %v times", text, n)
		}
	}
}

func BenchmarkText(b *testing.B) {
	for name, text := range map[string]string{
		"word": "approved", "id": "01a21090-d287-7283-ae19-44880dccbef0", "sha": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"path": "/api/models/acme/a-model_with-a_long-name-that-tells-nothing", "mixed": "A0pkX2dZt7sLq9mWc3vBn5hYr8", "escaped": "/api/models/acme/a%20b",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Text(text)
			}
		})
	}
}
