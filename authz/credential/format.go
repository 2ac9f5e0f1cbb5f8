package credential

// Format is a form by which a token is known at sight, as scanners know it.
type Format struct {
	// Prefix begins the token. It ends with an underscore or a hyphen.
	Prefix string
	// Least is how many characters the rest has at least: of fewer, words are made
	// (hf_transfer, npm_config_cache).
	Least int
	// Joints are what the rest may have beside letters and digits.
	Joints string
}

// formats are those that count, in queries (CheckQuery) and in what is erased from
// texts (package redact). In a query more is asked of them; see [issued].
var formats = []Format{
	{Prefix, 12, ""}, // also what is left of a secret that was cut
	{"hf_", 16, ""},
	{"api_org_", 16, ""},
	{"ghp_", 16, ""},
	{"gho_", 16, ""},
	{"ghs_", 16, ""},
	{"github_pat_", 16, "_"},
	{"glpat-", 16, "-_"},
	{"npm_", 16, ""},
}

// Formats returns the formats of tokens that are known.
func Formats() []Format { return append([]Format(nil), formats...) }

// FindToken finds the first token of a known format in a text, from an offset on,
// wherever it stands: also within a longer word. exact is for the prefix as it is
// issued; else it may be in any case, as a host's name has it. end is that of the
// token; with no token, start is negative.
func FindToken[T string | []byte](text T, from int, exact bool) (start, end int) {
	for i := from; i < len(text); i++ {
		if c := text[i]; c != '_' && c != '-' || i == from || !beforeEnd[text[i-1]] {
			continue
		}
		for f := range formats {
			f := &formats[f]
			start = i + 1 - len(f.Prefix)
			if start < from || !begins(text, start, f.Prefix, exact) {
				continue
			}
			for end = i + 1; end < len(text) && f.has(text[end]); end++ {
			}
			if end-i-1 >= f.Least && (!exact || issued(text, start, i+1, end)) {
				return start, end
			}
		}
	}
	return -1, -1
}

// beforeEnd are the characters that the prefixes have before their last one, in
// either case: most underscores and hyphens need no look at the prefixes.
var beforeEnd = func() (is [256]bool) {
	for _, f := range formats {
		c := f.Prefix[len(f.Prefix)-2]
		is[c], is[c-'a'+'A'] = true, true
	}
	return is
}()

// begins says whether a prefix, which is in lower case, stands at an offset.
func begins[T string | []byte](text T, at int, prefix string, exact bool) bool {
	for i := len(prefix) - 1; i >= 0; i-- {
		c := text[at+i]
		if !exact && c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

func (f *Format) has(c byte) bool {
	if word(c) {
		return true
	}
	for i := range len(f.Joints) {
		if f.Joints[i] == c {
			return true
		}
	}
	return false
}

// leastAlone is how many characters a token in a query has behind its prefix.
const leastAlone = 16

// issued says whether what looks like a token in a query is one: nobody must be
// refused for words (search=npm_workspace, path=src/ptl_modelcheckpoint.py), digests, or
// a piece of base64 in a page's cursor or a signature. A value that is a token and
// nothing else counts as it is. Within others the rest has letters of both cases, as
// nearly all have that are issued; and where a letter or a digit goes before a prefix
// of three characters, which is in one cursor of a thousand, the 34 letters that are
// issued under it: base64 hardly has as many without a digit.
func issued[T string | []byte](text T, start, rest, end int) bool {
	if start == 0 || text[start-1] == '=' {
		return end-rest >= leastAlone
	}
	upper, lower, letters := false, false, true
	for i := rest; i < end; i++ {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case i-rest < 34:
			letters = false
		}
	}
	if !upper || !lower || end-rest < leastAlone {
		return false
	}
	return rest-start > 3 || !word(text[start-1]) || letters && end-rest >= 34
}
