package canary

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
)

const (
	maxDepth    = 4       // of archives within archives
	maxUnpacked = 1 << 30 // bytes of one
)

// packed says whether a file holds a secret, as it is or within gzip (RFC 1952)
// or tar. Of a file that is cut short, what can be unpacked is searched.
func packed(text []byte, depth int) bool {
	if Holds(text) {
		return true
	}
	if depth == maxDepth {
		return false
	}
	if z, err := gzip.NewReader(bytes.NewReader(text)); err == nil {
		inner, _ := io.ReadAll(io.LimitReader(z, maxUnpacked))
		return packed(inner, depth+1)
	}
	for archive := tar.NewReader(bytes.NewReader(text)); ; {
		if _, err := archive.Next(); err != nil {
			return false
		}
		inner, _ := io.ReadAll(archive)
		if packed(inner, depth+1) {
			return true
		}
	}
}
