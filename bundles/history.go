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
	// unsure are those of which not all could be read: nothing of theirs is removed
	// that is not known.
	unsure map[*source]bool
}

// version is an entry.
type version struct {
	authz.BundleVersion
	SHA256 string `json:"sha256"` // of the tarball
	// Left says that an operator went back from it to an earlier one.
	Left bool `json:"left,omitempty"`
}

// is tells an entry from any other content, as [loaded.is] does.
func (v *version) is() string { return v.Revision + v.Digest }

func (h *history) folder(s *source) string { return filepath.Join(h.dir, s.key()) }

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
	files, err := os.ReadDir(h.folder(s))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.unsure[s] = true
		h.log.Error("the bundles' history cannot be read", "bundle", s.name, "folder", h.folder(s), "error", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), describes) {
			continue
		}
		v, err := readVersion(filepath.Join(h.folder(s), f.Name()))
		if err != nil {
			h.unsure[s] = h.unsure[s] || !errors.Is(err, errNotWhole)
			h.log.Warn("an entry of the bundles' history cannot be read", "bundle", s.name, "file", f.Name(), "error", err)
			continue
		}
		v.Bundle = s.name // it may be called otherwise now
		h.of[s] = append(h.of[s], v)
	}
	slices.SortFunc(h.of[s], byNumber)
}

// errNotWhole is of an entry that can be removed: it is none.
var errNotWhole = errors.New("the entry is not whole")

func byNumber(a, b *version) int { return cmp.Compare(a.Number, b.Number) }

func readVersion(name string) (*version, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	v := &version{}
	if err := json.Unmarshal(text, v); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotWhole, err)
	}
	info, err := os.Stat(strings.TrimSuffix(name, describes) + packs)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errNotWhole, err)
	} else if err == nil && info.Size() != v.Bytes {
		err = fmt.Errorf("%w: the tarball has %d bytes and not %d", errNotWhole, info.Size(), v.Bytes)
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
	was := h.entry(s, l.is())
	again := was != nil && was == h.last(s) // it is active once more, after a restart
	whole := was != nil && h.whole(s, was, l)
	if again && whole {
		return nil
	}
	v := &version{BundleVersion: authz.BundleVersion{Bundle: s.name, Revision: l.revision, Digest: l.content, Root: l.root, FirstActive: now}}
	if was != nil {
		*v = *was
	}
	if !whole {
		if err := h.pack(s, l, v); err != nil {
			return err
		}
	}
	if !again {
		v.ActivatedAt, v.How, v.By, v.Left = now, how, by, false
	}
	if was == nil || !again && how != authz.BundleRolledBack {
		v.Number = 1
		if n := len(h.of[s]); n > 0 {
			v.Number = h.of[s][n-1].Number + 1
		}
	}
	if err := h.describe(s, v); err != nil {
		return err
	}
	list := slices.DeleteFunc(h.of[s], func(other *version) bool { return other == was })
	at, _ := slices.BinarySearchFunc(list, v, byNumber)
	h.of[s] = slices.Insert(list, at, v)
	h.prune(s, v)
	return nil
}

// describe writes what describes an entry.
func (h *history) describe(s *source, v *version) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return replace(h.file(s, v.is())+describes, text)
}

// leave marks what an operator went back from: who goes back next does not mean it.
func (h *history) leave(s *source, is string, to *version) error {
	v := h.entry(s, is)
	if v == nil || v.Number < to.Number || v.Left {
		return nil
	}
	v.Left = true
	return h.describe(s, v)
}

// whole says whether an entry's tarball is as it was written, and as good as what
// there is now: it may lack a signature, or have that of a key that is no more.
func (h *history) whole(s *source, v *version, l *loaded) bool {
	if s.signing != nil && l.raw != nil {
		if sum := sha256.Sum256(l.raw); hex.EncodeToString(sum[:]) != v.SHA256 {
			return false
		}
	}
	packed, err := os.ReadFile(h.file(s, v.is()) + packs)
	sum := sha256.Sum256(packed)
	return err == nil && hex.EncodeToString(sum[:]) == v.SHA256 && (s.signing == nil || v.Signed)
}

// pack writes the tarball of an entry.
func (h *history) pack(s *source, l *loaded, v *version) error {
	if s.signing != nil && l.raw == nil {
		return errors.New("its signature is not at hand until its source brings it again")
	}
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
	if h.unsure[s] {
		return
	}
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
	l, err := readPacked(packed, s.signing, maxBundle)
	if err == nil && l.is() != v.is() {
		err = fmt.Errorf("its tarball holds %s with the digest %s", l.revision, l.content)
	}
	return l, err
}

// readPacked reads a tarball. Where it has to be signed it is verified.
func readPacked(packed []byte, signing *bundle.VerificationConfig, most int64) (*loaded, error) {
	if err := unpacks(bytes.NewReader(packed), most); err != nil {
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
