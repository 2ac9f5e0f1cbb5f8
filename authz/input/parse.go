package input

import (
	"net/url"
	"strings"
)

// ParsePath splits a request target as opa-envoy-plugin does: the segments of
// the decoded path, and the query's parameters.
func ParsePath(target string) (segments []string, query url.Values, err error) {
	rawPath, rawQuery, _ := strings.Cut(target, "?")
	if segments, err = pathSegments(rawPath); err != nil {
		return nil, nil, err
	}
	if query, err = url.ParseQuery(rawQuery); err != nil {
		return nil, nil, err
	}
	return segments, query, nil
}

func pathSegments(rawPath string) ([]string, error) {
	decoded, err := url.PathUnescape(rawPath)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimLeft(decoded, "/"), "/"), nil
}
