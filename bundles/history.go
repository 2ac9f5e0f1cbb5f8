package bundles

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/patrol-authz/patrol/authz"
)

// history keeps the bundles that were active, each as a tarball and a file that
// describes it. The latter is written last: without it there is no entry.
type history struct {
	dir   string // "" keeps none
	most  int
	bytes int64
	log   *slog.Logger
	of    map[*source][]*version // by number
}

// version is an entry.
type version struct {
	authz.BundleVersion
	SHA256 string `json:"sha256"` // of the tarball
}

// is tells an entry from any other content, as [loaded.is] does.
func (v *version) is() string { return v.Revision + v.Digest }

// fileName is a name that a file can have.
func fileName(s string) string { return strings.ReplaceAll(url.PathEscape(s), ".", "%2E") }

func (h *history) folder(s *source) string { return filepath.Join(h.dir, fileName(s.name)) }

// file is where an entry lies, without what its name ends in.
func (h *history) file(s *source, is string) string {
	sum := sha256.Sum256([]byte(is))
	return filepath.Join(h.folder(s), hex.EncodeToString(sum[:8]))
}

const (
	describes = ".json"
	packs     = ".tar.gz"
)

// open reads what is kept of a source. What is not whole is no entry.
func (h *history) open(s *source) {
	if h.dir == "" {
		return
	}
	names, _ := filepath.Glob(filepath.Join(h.folder(s), "*"+describes))
	for _, name := range names {
		v, err := readVersion(name)
		if err != nil {
			h.log.Warn("an entry of the bundles' history cannot be read", "bundle", s.name, "file", name, "error", err)
			continue
		}
		h.of[s] = append(h.of[s], v)
	}
	slices.SortFunc(h.of[s], byNumber)
}

func byNumber(a, b *version) int { return cmp.Compare(a.Number, b.Number) }

func readVersion(name string) (*version, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	v := &version{}
	if err := json.Unmarshal(text, v); err != nil {
		return nil, err
	}
	info, err := os.Stat(strings.TrimSuffix(name, describes) + packs)
	if err == nil && info.Size() != v.Bytes {
		err = fmt.Errorf("the tarball has %d bytes and not %d", info.Size(), v.Bytes)
	}
	return v, err
}

// entry is what is kept of a source's content; nil: nothing.
func (h *history) entry(s *source, is string) *version {
	for _, v := range h.of[s] {
		if v.is() == is {
			return v
		}
	}
	return nil
}

// last is what was last activated of a source; nil: nothing is kept.
func (h *history) last(s *source) *version {
	if len(h.of[s]) == 0 {
		return nil
	}
	return slices.MaxFunc(h.of[s], func(a, b *version) int { return a.ActivatedAt.Compare(b.ActivatedAt) })
}

// activated takes note of what became active of a source, and how. What a source
// or a shadow brings goes to the end, also where it was there before; what was
// rolled back to stays in its place, so that one can go back further.
func (h *history) activated(s *source, l *loaded, how, by string, now time.Time) error {
	if h.dir == "" {
		return nil
	}
	if last := h.last(s); last != nil && last.is() == l.is() {
		return nil // it is active again, after a restart
	}
	was := h.entry(s, l.is())
	v := &version{BundleVersion: authz.BundleVersion{Bundle: s.name, Revision: l.revision, Digest: l.content, Root: l.root, FirstActive: now}}
	if was != nil {
		*v = *was
	} else if err := h.pack(s, l, v); err != nil {
		return err
	}
	v.ActivatedAt, v.How, v.By = now, how, by
	if was == nil || how != authz.BundleRolledBack {
		v.Number = 1
		if n := len(h.of[s]); n > 0 {
			v.Number = h.of[s][n-1].Number + 1
		}
	}
	text, err := json.Marshal(v)
	if err == nil {
		err = replace(h.file(s, v.is())+describes, text)
	}
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(h.of[s], func(other *version) bool { return other == was })
	at, _ := slices.BinarySearchFunc(list, v, byNumber)
	h.of[s] = slices.Insert(list, at, v)
	h.prune(s, v)
	return nil
}

// pack writes the tarball of a new entry.
func (h *history) pack(s *source, l *loaded, v *version) error {
	packed, err := l.tarball()
	if err != nil {
		return fmt.Errorf("pack the bundle: %w", err)
	}
	if int64(len(packed)) > h.bytes {
		return fmt.Errorf("it has %d bytes packed, and all versions together may have %d", len(packed), h.bytes)
	}
	sum := sha256.Sum256(packed)
	v.Bytes, v.SHA256 = int64(len(packed)), hex.EncodeToString(sum[:])
	if v.Signed, err = signedTarball(bytes.NewReader(packed)); err != nil {
		return err
	}
	return replace(h.file(s, v.is())+packs, packed)
}

// prune lets the oldest go beyond the bounds, never the one that is active, and
// removes what is no entry.
func (h *history) prune(s *source, active *version) {
	for {
		var size int64
		for _, v := range h.of[s] {
			size += v.Bytes
		}
		oldest := slices.IndexFunc(h.of[s], func(v *version) bool { return v != active })
		if oldest < 0 || len(h.of[s]) <= h.most && size <= h.bytes {
			break
		}
		h.of[s] = slices.Delete(h.of[s], oldest, oldest+1)
	}
	wanted := map[string]bool{}
	for _, v := range h.of[s] {
		wanted[h.file(s, v.is())+describes], wanted[h.file(s, v.is())+packs] = true, true
	}
	files, _ := os.ReadDir(h.folder(s))
	for _, pass := range []bool{true, false} { // what describes an entry goes before its tarball
		for _, f := range files {
			name := filepath.Join(h.folder(s), f.Name())
			if pass == strings.HasSuffix(name, describes) && !wanted[name] {
				if err := os.Remove(name); err != nil {
					h.log.Warn("what the bundles' history needs no more cannot be removed", "file", name, "error", err)
				}
			}
		}
	}
}

// find reads the content of a revision and digest.
func (h *history) find(s *source, revision, digest string) (*loaded, error) {
	v := h.entry(s, revision+digest)
	if v == nil {
		return nil, fmt.Errorf("the history has no %s with the digest %s: %w", revision, digest, fs.ErrNotExist)
	}
	return h.read(s, v)
}

// read reads an entry's content, and verifies its signature where the source has
// to be signed.
func (h *history) read(s *source, v *version) (*loaded, error) {
	packed, err := os.ReadFile(h.file(s, v.is()) + packs)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != v.SHA256 {
		return nil, errors.New("its tarball is not as it was written")
	}
	l, err := readPacked(packed, s.signing)
	if err == nil && l.is() != v.is() {
		err = fmt.Errorf("its tarball holds %s with the digest %s", l.revision, l.content)
	}
	return l, err
}

// readPacked reads a tarball. Where it has to be signed it is verified.
func readPacked(packed []byte, signing *bundle.VerificationConfig) (*loaded, error) {
	if err := unpacks(bytes.NewReader(packed)); err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	if signing == nil {
		l, err := readTarball(bytes.NewReader(packed), "")
		if err == nil {
			l.raw = packed
		}
		return l, err
	}
	b, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(packed), "")).WithProcessAnnotations(true).WithRegoVersion(ast.RegoV1).
		WithSizeLimitBytes(maxFile).WithBundleVerificationConfig(signing).Read()
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	if len(b.Signatures.Signatures) == 0 {
		return nil, errors.New("the bundle is not signed, and its source's configuration asks for that")
	}
	l, err := judge(&b, "")
	if err == nil {
		l.raw = packed
	}
	return l, err
}
