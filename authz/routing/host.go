package routing

import "strings"

// checkHost refuses a Host of characters that no host has: above all a comma,
// by which Envoy joins two Host headers, of which the upstream may believe
// either. Without a Host there is nothing to doubt.
func checkHost(host string) error {
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && !strings.ContainsRune(".-_:[]", rune(c)) {
			return malformed("the host holds a character that no host has, or there are two of them")
		}
	}
	return nil
}

func matchHost(hosts []string, host string) bool {
	if len(hosts) == 0 {
		return true
	}
	host = canonicalHost(host)
	for _, h := range hosts {
		h = strings.ToLower(h)
		if suffix, ok := strings.CutPrefix(h, "*"); ok && strings.HasPrefix(suffix, ".") {
			if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
				return true
			}
		} else if h == host {
			return true
		}
	}
	return false
}

// canonicalHost is the host in lower case, without port and trailing dot.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// hostLabel takes what stands before a suffix: with name ".hub.example",
// "acme.hub.example" gives "acme". Without a suffix it is the first label.
func hostLabel(host, suffix string) string {
	host = canonicalHost(host)
	if suffix == "" {
		label, _, _ := strings.Cut(host, ".")
		return label
	}
	label, ok := strings.CutSuffix(host, suffix)
	if !ok || strings.Contains(label, ".") {
		return ""
	}
	return label
}
