package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/patrol-authz/patrol/authz"
)

// ImportedTokens reads the JSON of tokens, one after the other. What they have in
// common is read once.
type ImportedTokens struct{ plain plainTokens }

// Read reads the JSON of one token strictly; its error is an [*inventory.Invalid].
func (r *ImportedTokens) Read(text []byte) (*ImportedToken, error) {
	t, p := &ImportedToken{}, &r.plain
	if p.text, p.at = text, 0; p.token(t) && p.ended() {
		return t, nil
	}
	t = &ImportedToken{}
	if err := readStrictly(text, t); err != nil {
		return nil, wrongMember(text, err)
	}
	return t, nil
}

// readStrictly reads one JSON value, of known members alone.
func readStrictly(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errMore
	}
	return nil
}

// plainTokens reads tokens as nearly all are written: known members, each once,
// of the right kind. It is many times as fast as encoding/json, which reads all
// others and says what is wrong. What it reads, it reads as encoding/json does.
type plainTokens struct {
	text []byte
	at   int
	// What many tokens have in common is read once.
	grants map[string][]authz.Grant
	words  map[string]string
}

// mostCommon bounds what is remembered of each.
const mostCommon = 1000

// body reads the body of an import; ok is false where encoding/json has to.
func (p *plainTokens) body(most int) (tokens []ImportedToken, ok bool) {
	if !p.next('{') || !p.next('"') || !bytes.HasPrefix(p.text[p.at:], []byte(`tokens"`)) {
		return nil, false
	}
	p.at += len(`tokens"`)
	if !p.next(':') || !p.next('[') {
		return nil, false
	}
	for {
		if len(tokens) == most {
			return nil, false
		}
		tokens = append(tokens, ImportedToken{})
		if !p.token(&tokens[len(tokens)-1]) {
			return nil, false
		}
		if !p.next(',') {
			return tokens, p.next(']') && p.next('}') && p.ended()
		}
	}
}

// token reads one token.
func (p *plainTokens) token(t *ImportedToken) bool {
	if !p.next('{') {
		return false
	}
	for seen := 0; ; {
		if !p.next('"') {
			return false
		}
		length := bytes.IndexByte(p.text[p.at:], '"')
		if length < 0 {
			return false
		}
		name := p.text[p.at : p.at+length]
		p.at += length + 1
		if !p.next(':') {
			return false
		}
		p.space()
		bit, ok := p.member(string(name), t)
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if !p.next(',') {
			return p.next('}')
		}
	}
}

// member reads the value of a member; each has a bit of its own.
func (p *plainTokens) member(name string, t *ImportedToken) (bit int, ok bool) {
	switch name {
	case "sha256":
		return 1 << 0, p.string(&t.SHA256)
	case "digest":
		return 1 << 1, p.string(&t.Digest)
	case "owner":
		return 1 << 2, p.word(&t.Owner)
	case "display_name":
		return 1 << 3, p.string(&t.DisplayName)
	case "kind":
		return 1 << 4, p.word(&t.Kind)
	case "grants":
		return 1 << 5, p.grantList(&t.Grants)
	case "global":
		return 1 << 6, p.value(&t.Global)
	case "last4":
		return 1 << 7, p.string(&t.Last4)
	case "created_at":
		return 1 << 8, p.time(&t.CreatedAt)
	case "expires_at":
		return 1 << 9, p.time(&t.ExpiresAt)
	case "purpose":
		return 1 << 10, p.word(&t.Purpose)
	case "contact":
		return 1 << 11, p.word(&t.Contact)
	}
	return 0, false
}

func (p *plainTokens) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// next goes beyond a character, where it is the next one but for spaces.
func (p *plainTokens) next(c byte) bool {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *plainTokens) ended() bool {
	p.space()
	return p.at == len(p.text)
}

// quoted goes beyond a text, and gives it with its quotes. plain says that what
// stands between them is the text.
func (p *plainTokens) quoted() (literal []byte, plain, ok bool) {
	from := p.at
	if from == len(p.text) || p.text[from] != '"' {
		return nil, false, false
	}
	plain = true
	ascii := byte(0)
	for i := from + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.at = i + 1
			literal = p.text[from:p.at]
			// What is no UTF-8 becomes something else.
			return literal, plain, ascii < utf8.RuneSelf || utf8.Valid(literal)
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return nil, false, false
		default:
			ascii |= c
		}
	}
	return nil, false, false
}

func (p *plainTokens) string(into *string) bool {
	literal, plain, ok := p.quoted()
	if !ok {
		return false
	}
	if plain {
		*into = string(literal[1 : len(literal)-1])
		return true
	}
	return json.Unmarshal(literal, into) == nil
}

// word reads a text that many tokens have.
func (p *plainTokens) word(into *string) bool {
	from := p.at
	literal, plain, ok := p.quoted()
	if !ok || !plain {
		p.at = from
		return p.string(into)
	}
	text := literal[1 : len(literal)-1]
	known, ok := p.words[string(text)]
	if !ok {
		known = string(text)
		if p.words == nil {
			p.words = map[string]string{}
		}
		if len(p.words) < mostCommon {
			p.words[known] = known
		}
	}
	*into = known
	return true
}

func (p *plainTokens) time(into **time.Time) bool {
	literal, plain, ok := p.quoted()
	if !ok || !plain {
		return false
	}
	*into = new(time.Time)
	return (*into).UnmarshalJSON(literal) == nil
}

// list goes beyond a list, whatever is in it.
func (p *plainTokens) list() ([]byte, bool) {
	from, depth := p.at, 0
	if from == len(p.text) || p.text[from] != '[' {
		return nil, false
	}
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case '"':
			if _, _, ok := p.quoted(); !ok {
				return nil, false
			}
			continue
		case '[':
			depth++
		case ']':
			depth--
		}
		p.at++
		if depth == 0 {
			return p.text[from:p.at], true
		}
	}
	return nil, false
}

// value reads a list as encoding/json does.
func (p *plainTokens) value(into any) bool {
	text, ok := p.list()
	return ok && readStrictly(text, into) == nil
}

// grantList reads grants. Equal ones are one list, which nobody changes.
func (p *plainTokens) grantList(into *[]authz.Grant) bool {
	text, ok := p.list()
	if !ok {
		return false
	}
	if known, ok := p.grants[string(text)]; ok {
		*into = known
		return true
	}
	if readStrictly(text, into) != nil {
		return false
	}
	if p.grants == nil {
		p.grants = map[string][]authz.Grant{}
	}
	if len(p.grants) < mostCommon {
		p.grants[string(text)] = *into
	}
	return true
}
