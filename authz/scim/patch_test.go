package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	lib "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/schema"
)

// patched sends operations through the library's check, and applies them.
func patched(t *testing.T, s schema.Schema, attributes, operations string) (map[string]any, int) {
	t.Helper()
	var present map[string]any
	if err := json.Unmarshal([]byte(attributes), &present); err != nil {
		t.Fatal(err)
	}
	h := &applier{schema: s, present: present}
	kind := lib.ResourceType{Name: "X", Endpoint: "/X", Schema: s, Handler: h}
	if s.ID == userSchema.ID {
		kind.SchemaExtensions = []lib.SchemaExtension{{Schema: enterprise}}
	}
	server, err := lib.NewServer(&lib.ServerArgs{ServiceProviderConfig: &lib.ServiceProviderConfig{SupportPatch: true}, ResourceTypes: []lib.ResourceType{kind}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("PATCH", "/X/1", strings.NewReader(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`+operations+`}`))
	w := httptest.NewRecorder()
	if normalize(w, r) {
		server.ServeHTTP(w, r)
	}
	return h.present, w.Code
}

type applier struct {
	lib.ResourceHandler
	schema  schema.Schema
	present map[string]any
}

func (a *applier) Patch(r *http.Request, _ string, operations []lib.PatchOperation) (lib.Resource, error) {
	if err := patchAll(r.Context(), a.present, operations, a.schema); err != nil {
		return lib.Resource{}, err
	}
	return lib.Resource{ID: "1", Attributes: lib.ResourceAttributes{"x": 1}}, nil
}

func TestOperationsOnAttributes(t *testing.T) {
	const work = `{"type":"work","value":"a@x"}`
	const ext = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	for name, c := range map[string]struct{ have, operations, want string }{
		"a text is replaced":               {`{"title":"a"}`, `[{"op":"replace","path":"title","value":"b"}]`, `{"title":"b"}`},
		"in another spelling":              {`{"displayName":"a"}`, `[{"op":"REPLACE","path":"DISPLAYNAME","value":"b"}]`, `{"displayName":"b"}`},
		"by the schema's whole name":       {`{}`, `[{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:title","value":"b"}]`, `{"title":"b"}`},
		"a text is removed":                {`{"title":"a"}`, `[{"op":"remove","path":"title"}]`, `{}`},
		"what there is not is removed":     {`{}`, `[{"op":"remove","path":"title"}]`, `{}`},
		"a part is replaced":               {`{"name":{"givenName":"a","familyName":"b"}}`, `[{"op":"replace","path":"name.givenName","value":"c"}]`, `{"name":{"givenName":"c","familyName":"b"}}`},
		"a part is removed":                {`{"name":{"givenName":"a","familyName":"b"}}`, `[{"op":"remove","path":"name.givenName"}]`, `{"name":{"familyName":"b"}}`},
		"a part of nothing":                {`{}`, `[{"op":"add","path":"name.givenName","value":"c"}]`, `{"name":{"givenName":"c"}}`},
		"an object is added to":            {`{"name":{"givenName":"a"}}`, `[{"op":"add","path":"name","value":{"familyName":"b"}}]`, `{"name":{"givenName":"a","familyName":"b"}}`},
		"a list is added to, once":         {`{"emails":[` + work + `]}`, `[{"op":"add","path":"emails","value":[{"value":"a@x"},{"value":"b@x"}]}]`, `{"emails":[` + work + `,{"value":"b@x"}]}`},
		"a list is replaced":               {`{"emails":[` + work + `]}`, `[{"op":"replace","path":"emails","value":[{"value":"b@x"}]}]`, `{"emails":[{"value":"b@x"}]}`},
		"of a list, what fits is changed":  {`{"emails":[` + work + `,{"type":"home","value":"h@x"}]}`, `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"c@x"}]`, `{"emails":[{"type":"work","value":"c@x"},{"type":"home","value":"h@x"}]}`},
		"and what fits is removed":         {`{"emails":[` + work + `,{"type":"home","value":"h@x"}]}`, `[{"op":"remove","path":"emails[type eq \"home\"]"}]`, `{"emails":[` + work + `]}`},
		"a part of what fits is removed":   {`{"emails":[{"type":"work","value":"a@x","primary":true}]}`, `[{"op":"remove","path":"emails[type eq \"work\"].primary"}]`, `{"emails":[` + work + `]}`},
		"where nothing fits, one is made":  {`{}`, `[{"op":"add","path":"emails[type eq \"work\"].value","value":"a@x"}]`, `{"emails":[` + work + `]}`},
		"several without a path":           {`{"title":"a"}`, `[{"op":"replace","value":{"title":"b","name.givenName":"c","emails[type eq \"work\"].value":"a@x"}}]`, `{"title":"b","name":{"givenName":"c"},"emails":[` + work + `]}`},
		"an extension":                     {`{}`, `[{"op":"add","path":"` + ext + `:department","value":"d"}]`, `{"` + ext + `":{"department":"d"}}`},
		"an extension without a path":      {`{"` + ext + `":{"division":"e"}}`, `[{"op":"add","value":{"` + ext + `":{"department":"d"}}}]`, `{"` + ext + `":{"department":"d","division":"e"}}`},
		"an extension's path as a key":     {`{}`, `[{"op":"add","value":{"` + ext + `:department":"d"}}]`, `{"` + ext + `":{"department":"d"}}`},
		"the directory's own id":           {`{"externalId":"a"}`, `[{"op":"replace","path":"externalId","value":"b"}]`, `{"externalId":"b"}`},
		"a text that stands for a boolean": {`{}`, `[{"op":"replace","path":"active","value":"False"}]`, `{"active":false}`},
		"such a text in a list":            {`{}`, `[{"op":"replace","path":"active","value":[{"value":"True"}]}]`, `{"active":true}`},
		"such a text in a value":           {`{}`, `[{"op":"replace","value":{"active":"false"}}]`, `{"active":false}`},
		"one after the other":              {`{}`, `[{"op":"add","path":"title","value":"a"},{"op":"remove","path":"title"}]`, `{}`},
		"a text that only looks like one":  {`{}`, `[{"op":"replace","path":"title","value":"False"}]`, `{"title":"False"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, code := patched(t, userSchema, c.have, c.operations)
			var want map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if code != 200 || !reflect.DeepEqual(got, want) {
				t.Errorf("%d %v; want %v", code, got, want)
			}
		})
	}
}

func TestOperationsThatAreNone(t *testing.T) {
	for name, operations := range map[string]string{
		"none":                       `[]`,
		"another word":               `[{"op":"copy","path":"title","value":"a"}]`,
		"a path that there is not":   `[{"op":"replace","path":"shoeSize","value":"a"}]`,
		"a part that there is not":   `[{"op":"replace","path":"name.shoe","value":"a"}]`,
		"a value of another type":    `[{"op":"replace","path":"active","value":"perhaps"}]`,
		"no value":                   `[{"op":"replace","path":"title"}]`,
		"a removal of everything":    `[{"op":"remove"}]`,
		"an expression that is none": `[{"op":"replace","path":"emails[type is work].value","value":"a"}]`,
		"its schema within itself":   `[{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"urn:ietf:params:scim:schemas:core:2.0:User":{"title":"b"}}}}]`,
		"no operation":               `["replace"]`,
		"where nothing fits":         `[{"op":"replace","path":"emails[type ne \"work\"].value","value":"a"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, code := patched(t, userSchema, `{"title":"x"}`, operations); code != 400 || got["title"] != "x" {
				t.Errorf("%d %v", code, got)
			}
		})
	}
}

func TestOperationsAreBounded(t *testing.T) {
	var keys, emails []string
	for i := range maxOperations + 1 {
		keys = append(keys, fmt.Sprintf(`"emails[type eq \"t%d\"].value":"a"`, i))
		emails = append(emails, fmt.Sprintf(`{"value":"a%d@x"}`, i))
	}
	for name, operations := range map[string]string{
		"many operations":    "[" + strings.Repeat(`{"op":"add","path":"title","value":"b"},`, maxOperations) + `{"op":"add","path":"title","value":"b"}]`,
		"many paths of one":  `[{"op":"add","value":{` + strings.Join(keys, ",") + `}}]`,
		"many values of one": `[{"op":"add","path":"emails","value":[` + strings.Join(emails, ",") + `]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, code := patched(t, userSchema, `{"title":"x"}`, operations); code != 400 {
				t.Errorf("answered %d", code)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	present := map[string]any{"title": "x"}
	if err := patchAll(ctx, present, []lib.PatchOperation{{Op: "replace", Value: map[string]any{"title": "b"}}}, userSchema); err == nil || present["title"] != "x" {
		t.Errorf("nobody waits, and there is %v, %v", present, err)
	}
}

// FuzzNormalize: whatever is sent, what comes out can be read, and is no longer
// for being put right twice.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{`{"Operations":[{"op":"add","value":{"a.b":1,"active":"True"}}]}`, `{"Operations":[{"path":"active","value":[{"value":"False"}]}]}`, `{`, `{"a":{"primary":"true"}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		again := func(body string) (string, bool) {
			r := httptest.NewRequest("PATCH", "/", strings.NewReader(body))
			w := httptest.NewRecorder()
			if !normalize(w, r) {
				if w.Code != 400 {
					t.Fatalf("answered %d", w.Code)
				}
				return "", false
			}
			text, _ := io.ReadAll(r.Body)
			return string(text), json.Valid(text)
		}
		once, ok := again(body)
		if !ok {
			return
		}
		if twice, ok := again(once); !ok || len(twice) > len(once) {
			t.Fatalf("%s became %s", once, twice)
		}
	})
}
