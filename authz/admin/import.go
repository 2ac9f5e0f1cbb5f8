package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MaxImport is how many tokens one import takes. More come in several, which
// leaves other changes their turn; a dry run of each finds out before what is wrong.
const MaxImport = 10_000

// ImportedToken is one token to import.
type ImportedToken struct {
	SHA256      string        `json:"sha256,omitempty" pattern:"^[0-9a-fA-F]{64}$" doc:"The SHA-256 of the secret, in hex"`
	Digest      string        `json:"digest,omitempty" pattern:"^[0-9a-f]{64}$" doc:"Instead of sha256: the keyed digest under which an unknown token was discovered here"`
	Owner       string        `json:"owner" minLength:"1" maxLength:"96"`
	DisplayName string        `json:"display_name" minLength:"1" maxLength:"200"`
	Kind        string        `json:"kind" enum:"read,write,fine-grained"`
	Grants      []authz.Grant `json:"grants,omitempty"`
	Global      []string      `json:"global,omitempty"`
	Last4       string        `json:"last4,omitempty" maxLength:"4"`
	CreatedAt   *time.Time    `json:"created_at,omitempty"`
	ExpiresAt   *time.Time    `json:"expires_at,omitempty"`
	Purpose     string        `json:"purpose,omitempty" maxLength:"2000"`
	Contact     string        `json:"contact,omitempty" maxLength:"254"`
}

// Import is the body of an import.
type Import struct {
	Tokens []ImportedToken `json:"tokens" minItems:"1" maxItems:"10000"`
}

// Imported is the answer to an import.
type Imported struct {
	Imported int  `json:"imported" doc:"Tokens that were imported, or would be"`
	DryRun   bool `json:"dry_run,omitempty"`
}

// importing is the input of an import. Its body is read by the handler: huma
// would make a tree of it before it is read.
type importing struct {
	DryRun  bool   `query:"dry_run" doc:"Only say what is wrong; nothing is imported"`
	RawBody []byte `contentType:"application/json"`
}

// Resolve refuses a body that calls itself something else than JSON.
func (*importing) Resolve(ctx huma.Context) []error {
	given := ctx.Header("Content-Type")
	if kind, _, err := mime.ParseMediaType(given); given != "" && (err != nil || kind != "application/json") {
		return []error{newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be application/json")}
	}
	return nil
}

func (s *service) imports() {
	o := huma.Operation{
		OperationID: "import-tokens", Method: "POST", Path: "/api/tokens/import", Summary: "Import tokens by the SHA-256 of their secrets, all or none",
		MaxBodyBytes: maxImport, BodyReadTimeout: importTimeout, SkipValidateBody: true,
	}
	operate(s, o, s.importTokens)
	doc := s.OpenAPI()
	doc.Paths[o.Path].Post.RequestBody.Content["application/json"].Schema = doc.Components.Schemas.Schema(reflect.TypeFor[Import](), true, "Import")
}

func (s *service) importTokens(ctx context.Context, in *importing) (*body[Imported], error) {
	given, err := readImport(in.RawBody)
	if err != nil {
		return nil, err
	}
	c := inventory.ImportTokens{Tokens: make([]inventory.ImportToken, len(given))}
	for i := range given {
		t := &given[i]
		digest, err := s.importedDigest(i, t)
		if err != nil {
			return nil, err
		}
		if err := checkGlobal(fmt.Sprintf("tokens[%d].global", i), t.Global); err != nil {
			return nil, err
		}
		c.Tokens[i] = inventory.ImportToken{
			Digest: digest, Owner: t.Owner, DisplayName: t.DisplayName, Kind: t.Kind, Grants: t.Grants, Global: t.Global,
			Last4: t.Last4, CreatedAt: when(t.CreatedAt), ExpiresAt: when(t.ExpiresAt), Purpose: t.Purpose, Contact: t.Contact,
		}
	}
	if in.DryRun {
		if err := s.Commands.Check(ctx, actor(ctx), c); err != nil {
			return nil, err
		}
		return &body[Imported]{Imported{len(given), true}}, nil
	}
	r, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	return &body[Imported]{Imported{Imported: r.Imported}}, nil
}

// readImport reads the body strictly, token by token, and says of which one is
// wrong what.
func readImport(text []byte) (tokens []ImportedToken, err error) {
	if tokens, ok := (&plainTokens{text: text}).body(MaxImport); ok {
		return tokens, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	syntax := func(err error) error {
		return newProblem(http.StatusBadRequest, "bad_request", "the body is no JSON of the shape {\"tokens\": [...]}: "+err.Error())
	}
	if err := expect(dec, json.Delim('{')); err != nil {
		return nil, syntax(err)
	}
	for dec.More() {
		name, err := dec.Token()
		switch {
		case err != nil:
			return nil, syntax(err)
		case name != "tokens":
			return nil, &inventory.Invalid{Field: fmt.Sprint(name), Problem: "unexpected property"}
		case tokens != nil:
			return nil, &inventory.Invalid{Field: "tokens", Problem: "is there twice"}
		}
		if err := expect(dec, json.Delim('[')); err != nil {
			return nil, &inventory.Invalid{Field: "tokens", Problem: "must be a list"}
		}
		tokens = []ImportedToken{}
		for dec.More() {
			if len(tokens) == MaxImport {
				return nil, &inventory.Invalid{Field: "tokens", Problem: fmt.Sprintf("are more than %d: import them in parts", MaxImport)}
			}
			var t ImportedToken
			from := dec.InputOffset()
			if err := dec.Decode(&t); err != nil {
				return nil, wrongToken(len(tokens), bytes.TrimLeft(text[from:dec.InputOffset()], ", \t\r\n"), err)
			}
			tokens = append(tokens, t)
		}
		if err := expect(dec, json.Delim(']')); err != nil {
			return nil, syntax(err)
		}
	}
	if err := expect(dec, json.Delim('}')); err != nil {
		return nil, syntax(err)
	}
	if dec.More() {
		return nil, syntax(errors.New("more follows"))
	}
	if len(tokens) == 0 {
		return nil, &inventory.Invalid{Field: "tokens", Problem: "are missing"}
	}
	return tokens, nil
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("%q is expected", want.String())
	}
	return err
}

// wrongToken names the member of a token, with that text, that is wrong.
func wrongToken(i int, text []byte, err error) error {
	at := fmt.Sprintf("tokens[%d]", i)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return newProblem(http.StatusBadRequest, "bad_request", fmt.Sprintf("%s is no JSON: %v", at, syntax))
	}
	wrong := wrongMember(text, err)
	return &inventory.Invalid{Field: strings.TrimSuffix(at+"."+wrong.Field, "."), Problem: wrong.Problem}
}

var errMore = errors.New("holds more than one object")

// wrongMember says what is wrong with the JSON of a token, which could not be read
// for err. What was given is not repeated: it may be a secret.
func wrongMember(text []byte, err error) *inventory.Invalid {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &inventory.Invalid{Field: wrong.Field, Problem: "must be " + shape(wrong)}
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return &inventory.Invalid{Problem: "is no JSON: " + syntax.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &inventory.Invalid{Problem: "is no JSON: it breaks off"}
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return &inventory.Invalid{Field: strings.Trim(name, `"`), Problem: "unexpected property"}
	}
	if errors.Is(err, errMore) {
		return &inventory.Invalid{Problem: errMore.Error()}
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members) // it is JSON, or there were an error of that
	for _, name := range []string{"created_at", "expires_at"} {
		for given, value := range members {
			if strings.EqualFold(given, name) && new(time.Time).UnmarshalJSON(value) != nil {
				return &inventory.Invalid{Field: name, Problem: "is no time: write 2026-12-31T12:00:00Z"}
			}
		}
	}
	return &inventory.Invalid{Problem: "cannot be read; times are written 2026-12-31T12:00:00Z"}
}

// shape is what a member of a token holds, in words of JSON.
func shape(wrong *json.UnmarshalTypeError) string {
	switch wrong.Field {
	case "grants":
		return "a list of objects"
	case "global", "grants.permissions":
		return "a list of texts"
	}
	switch wrong.Type.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// importedDigest is the digest of a token to import: of the SHA-256 of its
// secret, or as it was discovered here.
func (s *service) importedDigest(i int, t *ImportedToken) (out authz.Digest, err error) {
	if (t.SHA256 == "") == (t.Digest == "") {
		return out, &inventory.Invalid{Field: fmt.Sprintf("tokens[%d].sha256", i), Problem: "or digest must be given, one of the two"}
	}
	var sum [32]byte
	given, field := t.SHA256, "sha256"
	if t.Digest != "" {
		given, field = t.Digest, "digest"
	}
	if n, err := hex.Decode(sum[:], []byte(given)); err != nil || n != len(sum) || len(given) != 2*len(sum) {
		return out, &inventory.Invalid{Field: fmt.Sprintf("tokens[%d].%s", i, field), Problem: "must be 64 hex digits"}
	}
	if t.Digest != "" {
		return sum, nil
	}
	return s.Digester.SHA256(sum), nil
}
