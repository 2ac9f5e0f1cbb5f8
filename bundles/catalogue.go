package bundles

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// reasonKeys are the keys of a catalogue's entry.
var reasonKeys = func() (keys []string) {
	for field := range reflect.TypeFor[authz.Reason]().Fields() {
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}()

// catalogueOf reads data.patrol.catalogue, and data.local.catalogue over it, of the
// data of all bundles. An entry by which a client would not be told what the
// bundle means is an error.
func catalogueOf(data map[string]any, all []*loaded) (authz.Catalogue, error) {
	out := authz.Catalogue{}
	var errs []error
	for _, root := range []string{rootBase, rootOverlay} {
		entries := entry(data, root, "catalogue")
		for _, code := range slices.Sorted(maps.Keys(entries)) {
			r := &authz.Reason{}
			if have := out[code]; have != nil { // an overlay rewords only what it names
				*r = *have
			}
			r.Code = code
			if err := readReason(r, entries[code]); err != nil {
				errs = append(errs, fmt.Errorf("data.%s.catalogue.%s%s: %w", root, code, fileOf(all, root, "catalogue", code), err))
			}
			if !r.Allow && (r.GRPCStatus < 1 || r.GRPCStatus > 16) {
				r.GRPCStatus = 7 // PERMISSION_DENIED
			}
			out[code] = r
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the catalogue of reasons (data.patrol.catalogue) is empty: was the bundle's folder mounted as a link?")
	}
	return out, errors.Join(errs...)
}

// readReason reads an entry over what a reason is already.
func readReason(r *authz.Reason, entry any) error {
	keys, ok := entry.(map[string]any)
	if !ok {
		return errors.New("must be an object")
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(reasonKeys, key) {
			return fmt.Errorf("%q is no key of a reason; there are %s", key, strings.Join(reasonKeys, ", "))
		}
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return err
	}
	if authz.BuiltinReasons[r.Code] != nil {
		return errors.New("this reason is given before Rego and cannot be reworded")
	}
	return checkEntry(r)
}

// checkEntry checks that a client who is told a reason understands it.
func checkEntry(r *authz.Reason) error {
	switch {
	case !r.Allow && (r.HTTPStatus < 400 || r.HTTPStatus > 599):
		return fmt.Errorf("http_status %d is no status of a refusal (400 to 599)", r.HTTPStatus)
	case strings.TrimSpace(r.Title) == "":
		return errors.New("title is missing")
	case !r.Allow && strings.TrimSpace(r.Sentence) == "":
		return errors.New("sentence is missing: it is what a refused client is told")
	}
	for key, text := range map[string]string{"sentence": r.Sentence, "link": r.Link} {
		if err := checkPlaceholders(text, r.Params); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// checkPlaceholders checks that each is filled by something.
func checkPlaceholders(text string, params []string) error {
	for {
		_, rest, found := strings.Cut(text, "{")
		if !found {
			return nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return errors.New("a { has no }")
		}
		if !slices.Contains(authz.Placeholders, name) && !slices.Contains(params, name) {
			return fmt.Errorf("{%s} is filled by nothing; there are {%s}, and the params of a decision of your own, if the entry lists them: \"params\": [%q]",
				name, strings.Join(authz.Placeholders, "}, {"), name)
		}
		text = after
	}
}

// dataFile is a file of data.
type dataFile struct {
	below string // the path of what it gives: /local/catalogue
	name  string // as people know it
}

// fileOf names the files that may give a piece of data, in parentheses; "" where
// no file is known, as of a bundle that a service brought.
func fileOf(all []*loaded, path ...string) string {
	var names []string
	for _, b := range all {
		last := len(path) - 1
		if _, has := entry(b.Data, path[:last]...)[path[last]]; !has {
			continue
		}
		for _, f := range b.files {
			if strings.HasPrefix("/"+strings.Join(path, "/")+"/", strings.TrimSuffix(f.below, "/")+"/") {
				names = append(names, f.name)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, " or ") + ")"
}
