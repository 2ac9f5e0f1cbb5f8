package input

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/patrol-authz/patrol/authz"
)

// Options of a [Builder].
type Options struct {
	// Fields that the policy can read; nil: everything.
	Fields *Fields
	// CredentialHeaders are hidden as well as "authorization".
	CredentialHeaders []string
	// ExposeCredential shows credential headers to the policy, for policies
	// that come from opa-envoy-plugin and read them. [Document] never does.
	ExposeCredential bool
	// Descriptors describe gRPC messages, so that policies can read them.
	Descriptors *protoregistry.Files
}

// Builder builds documents for one activated bundle. It is safe for concurrent
// use.
type Builder struct {
	fields      *Fields
	hidden      []string
	descriptors *protoregistry.Files

	// For views; see [View].
	ahead, readsSettings        bool
	headersRead, extensionsRead []string
	clock                       lastClock
}

// New returns a builder.
func New(o Options) *Builder {
	b := &Builder{fields: o.Fields, descriptors: o.Descriptors}
	if b.fields == nil {
		b.fields = everything
	}
	if !o.ExposeCredential {
		b.hidden = append([]string{"authorization", "proxy-authorization"}, o.CredentialHeaders...)
	}
	b.ahead = needsAhead(b.fields)
	b.readsSettings = b.fields.At("organization", "settings") != nil
	attributes := b.fields.At("attributes")
	b.headersRead, b.extensionsRead = attributes.At("request", "http", "headers").Keys(), attributes.At("contextExtensions").Keys()
	return b
}

// Fields returns what the builder builds.
func (b *Builder) Fields() *Fields { return b.fields }

// Value builds the document of some facts, as far as the policy reads it. An
// error that is a [*authz.Refusal] means that the request itself can't be
// shown: a body that is not what it says it is.
func (b *Builder) Value(f *authz.Facts) (ast.Value, error) {
	doc := newObject(b.fields, 16)
	if f.Request != nil {
		if err := b.addRequest(&doc, f.Request); err != nil {
			return nil, err
		}
	}
	if err := addFacts(&doc, f); err != nil {
		return nil, err
	}
	return doc.value(), nil
}

// version says how attributes is made; policies ask it of opa-envoy-plugin.
var version ast.Value = ast.NewObject(
	[2]*ast.Term{ast.StringTerm("ext_authz"), ast.StringTerm("v3")},
	[2]*ast.Term{ast.StringTerm("encoding"), ast.StringTerm("protojson")},
)

// Version is input.version.
func Version() ast.Value { return version }

// addRequest puts in the part of the document that opa-envoy-plugin has too.
func (b *Builder) addRequest(doc *object, r authz.Request) error {
	if fields := doc.fields.At("attributes"); fields != nil {
		v, err := b.attributes(r, fields)
		if err != nil {
			return err
		}
		doc.add("attributes", v)
	}
	if doc.reads("version") {
		doc.add("version", version)
	}
	if doc.reads("source_principal") {
		doc.text("source_principal", r.Source().Principal)
	}
	if doc.reads("destination_principal") {
		doc.text("destination_principal", r.Destination().Principal)
	}
	rawPath, rawQuery, _ := strings.Cut(r.Path(), "?")
	if doc.reads("parsed_path") {
		segments, err := pathSegments(rawPath)
		if err != nil {
			return refuse("a bad escape in its path")
		}
		doc.add("parsed_path", textArray(segments))
	}
	if doc.reads("parsed_query") {
		query, err := url.ParseQuery(rawQuery)
		if err != nil {
			return refuse("its query can't be read")
		}
		doc.add("parsed_query", queryValue(query))
	}
	if doc.reads("parsed_body") || doc.reads("truncated_body") {
		return b.addBody(doc, r, rawPath)
	}
	return nil
}

func (b *Builder) addBody(doc *object, r authz.Request, rawPath string) error {
	body := r.Body()
	payload := Payload{
		Raw:         body.Bytes,
		Descriptors: b.descriptors,
		Header: func(name string) (string, bool) {
			v, entries := r.Header(name)
			return v, entries > 0
		},
	}
	var err error
	if payload.Segments, err = pathSegments(rawPath); err != nil {
		return refuse("a bad escape in its path")
	}
	var parsed any
	truncated := body.Truncated
	if !truncated {
		// The error may quote the body: what is in it is not shown.
		if parsed, truncated, err = ParseBody(payload); err != nil {
			return refuse("its body is not what its content-type and content-length say")
		}
	}
	if doc.reads("parsed_body") {
		v, err := ast.InterfaceToValue(parsed)
		if err != nil {
			return refuse("its body can't be shown")
		}
		doc.add("parsed_body", v)
	}
	doc.flag("truncated_body", truncated)
	return nil
}

func refuse(detail string) error {
	return &authz.Refusal{Reason: authz.ReasonRequestMalformed, Detail: detail}
}

func queryValue(values url.Values) ast.Value {
	items := make([][2]*ast.Term, 0, len(values))
	for key, list := range values {
		items = append(items, [2]*ast.Term{ast.StringTerm(key), ast.NewTerm(textArray(list))})
	}
	return ast.NewObject(items...)
}

// Document returns the whole document of some facts as plain JSON values, for
// records, explanations and tests. Credential headers are always hidden. What
// the policy would have met as an error is left out of it.
func Document(f *authz.Facts, credentialHeaders ...string) (map[string]any, error) {
	b := New(Options{CredentialHeaders: credentialHeaders})
	v, err := b.Value(f)
	if err != nil {
		// A request that can't be shown is told without its body.
		b.fields = withoutBody
		if v, err = b.Value(f); err != nil {
			return nil, err
		}
	}
	plain, err := ast.JSON(v)
	if err != nil {
		return nil, fmt.Errorf("show the input as JSON: %w", err)
	}
	doc, _ := plain.(map[string]any)
	return doc, nil
}

// withoutBody is everything but what may fail to parse.
var withoutBody = Paths(
	"attributes", "version", "source_principal", "destination_principal", "patrol", "client", "credential", "token",
	"organization", "membership", "authorization", "route", "now",
)
