package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Entry is one line of the route table, as in the bundle's data.
type Entry struct {
	// ID names the entry in messages; by default its pattern.
	ID string `json:"id,omitempty"`
	// Hosts that it serves ("hub.example", "*.hub.example"); empty: all.
	Hosts []string `json:"hosts,omitempty"`
	// Methods that it serves; empty: all.
	Methods []string `json:"methods,omitempty"`
	// Pattern is a path of segments: literal, "{name}", "{name}.git" or
	// "prefix-{name}", and as the last "{rest...}" for what remains.
	Pattern string `json:"pattern"`
	// Query must hold these parameters: exactly the value, or any if "*".
	Query map[string]string `json:"query,omitempty"`
	// Access is organization (default), authenticated, public or unmanaged.
	Access string `json:"access,omitempty"`
	// Permission that the request needs: a name, or a source with a map.
	Permission *Source `json:"permission,omitempty"`
	// Resource that the request touches.
	Resource *ResourceTemplate `json:"resource,omitempty"`
	// Organizations that the request is about; by default the pattern's
	// {organization}.
	Organizations *Source `json:"organizations,omitempty"`
	// Allow admits path forms that are refused elsewhere: encoded_slash, matrix.
	Allow []string `json:"allow,omitempty"`
}

// ResourceTemplate names a resource; its members may hold {variables} of the
// pattern.
type ResourceTemplate struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Visibility string `json:"visibility,omitempty"`
}

// Source says where in a request a value is found.
type Source struct {
	// From is path, query, host, header or body; empty for a literal Value.
	From string `json:"from,omitempty"`
	// Name of the variable, parameter, header, or member of the JSON body
	// (dots reach into objects).
	Name string `json:"name,omitempty"`
	// Value is a literal.
	Value string `json:"-"`
	// Map translates what was found; what it lacks matches no route.
	Map map[string]string `json:"map,omitempty"`
	// Default stands in where nothing is found: a name, or "caller" for the
	// caller's own namespace.
	Default string `json:"default,omitempty"`
}

// CallerNamespace as an organization's name stands for the namespace of the
// token's owner. No organization can have this name.
const CallerNamespace = "caller"

// UnmarshalJSON takes a literal string as well as an object.
func (s *Source) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &s.Value)
	}
	type plain Source
	return strict(b, (*plain)(s))
}

// MarshalJSON writes a literal as a string.
func (s Source) MarshalJSON() ([]byte, error) {
	if s.From == "" {
		return json.Marshal(s.Value)
	}
	type plain Source
	return json.Marshal(plain(s))
}

func strict(b []byte, v any) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// Parse reads entries from the bundle's data (a list of objects).
func Parse(table any, where string) ([]Entry, error) {
	if table == nil {
		return nil, nil
	}
	list, ok := table.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: must be a list of routes", where)
	}
	entries := make([]Entry, len(list))
	var errs []error
	for i, item := range list {
		b, err := json.Marshal(item)
		if err == nil {
			err = strict(b, &entries[i])
		}
		if err == nil {
			err = entries[i].check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d] %s: %w", where, i, entries[i].Name(), err))
		}
	}
	return entries, errors.Join(errs...)
}

// Name is the entry's id, or its pattern.
func (e *Entry) Name() string {
	if e.ID != "" {
		return e.ID
	}
	return e.Pattern
}

func (e *Entry) allows(form string) bool {
	for _, a := range e.Allow {
		if a == form {
			return true
		}
	}
	return false
}

func (e *Entry) check() error {
	switch e.Access {
	case "", "organization", "authenticated", "public", "unmanaged":
	default:
		return fmt.Errorf("access %q is none of organization, authenticated, public, unmanaged", e.Access)
	}
	for _, a := range e.Allow {
		if a != allowEncodedSlash && a != allowMatrix {
			return fmt.Errorf("allow %q is none of encoded_slash, matrix", a)
		}
	}
	for _, m := range e.Methods {
		if m == "" || strings.ToUpper(m) != m {
			return fmt.Errorf("method %q must be in upper case", m)
		}
	}
	for name, s := range map[string]*Source{"permission": e.Permission, "organizations": e.Organizations} {
		if s == nil {
			continue
		}
		switch s.From {
		case "", "path", "query", "host", "header", "body":
		default:
			return fmt.Errorf("%s.from %q is none of path, query, host, header, body", name, s.From)
		}
	}
	p, err := parsePattern(e.Pattern)
	if err != nil {
		return err
	}
	if e.Access == "" || e.Access == "organization" {
		if e.Permission == nil {
			return errors.New("permission is missing: a route of an organization asks for one")
		}
		if e.Organizations == nil && !p.has("organization") {
			return errors.New("organizations is missing, and the pattern has no {organization}")
		}
	}
	if s := e.Organizations; s != nil && s.From == "path" && !p.has(s.Name) {
		return fmt.Errorf("organizations.name: the pattern has no {%s}", s.Name)
	}
	return nil
}
