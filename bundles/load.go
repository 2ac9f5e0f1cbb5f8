package bundles

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

const (
	rootBase    = "patrol"
	rootOverlay = "local"
	// maxFile bounds a file of a bundle, once unpacked, and maxBundle all of them.
	// Those of one that is sent to be a shadow have together maxUpload: it needs a
	// multiple of that in memory.
	maxFile   = 64 << 20
	maxBundle = 256 << 20
	maxUpload = 64 << 20
)

// loaded is one bundle, as read.
type loaded struct {
	*bundle.Bundle
	root     string
	revision string
	content  string // its digest
	files    []dataFile
	serial   int64  // 0: it has none
	raw      []byte // the tarball that it came as; nil: it is packed anew
	kept     bool   // it was active before, and comes from the disk
	hold     *hold  // under which an operator made it active; nil: it is what its source has
}

// tarball is the bundle as it came, or packed.
func (l *loaded) tarball() ([]byte, error) {
	if l.raw != nil {
		return l.raw, nil
	}
	return pack(l.Bundle)
}

// is tells what was read from anything else that a source may have.
func (l *loaded) is() string { return l.revision + l.content }

// copy is one of whose modules nobody else lets go.
func (l *loaded) copy() *loaded {
	b, out := *l.Bundle, *l
	b.Modules = slices.Clone(b.Modules)
	out.Bundle = &b
	return &out
}

// rest lets go of the parsed modules, each some hundred times as many pieces of
// memory as its text is: they are needed again only when a bundle changes.
func (l *loaded) rest() {
	for i := range l.Modules {
		l.Modules[i].Parsed = nil
	}
}

// wake parses again what rest let go of, as OPA's reader does.
func (l *loaded) wake() error {
	for i := range l.Modules {
		m := &l.Modules[i]
		if m.Parsed != nil {
			continue
		}
		version, err := l.RegoVersionForFile(m.RelativePath, l.RegoVersion(ast.RegoV1))
		if err == nil {
			m.Parsed, err = ast.ParseModuleWithOpts(m.Path, string(m.Raw), ast.ParserOptions{ProcessAnnotation: true, RegoVersion: version})
		}
		if err != nil {
			return fmt.Errorf("parse %s again: %w", m.Path, err)
		}
	}
	return nil
}

func readFS(f fs.FS) (*loaded, error) {
	l, err := bundle.NewFSLoader(f)
	if err != nil {
		return nil, err
	}
	return read(l, "")
}

// readPath reads a folder or a tarball.
func readPath(path string) (*loaded, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	if !info.IsDir() {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the bundle: %w", err)
		}
		defer f.Close()
		if err := unpacks(f, maxBundle); err != nil {
			return nil, fmt.Errorf("read the bundle: %w", err)
		}
		return readTarball(f, path)
	}
	dir, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	return read(bundle.NewDirectoryLoader(dir), dir)
}

// unpacks refuses a tarball that is small on the disk and without end in memory.
// It leaves the file at its beginning.
func unpacks(f io.ReadSeeker, most int64) error {
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(z, most+1))
	if err != nil {
		return err
	}
	if n > most {
		return fmt.Errorf("it unpacks to more than %d MiB", most>>20)
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

func readTarball(r io.Reader, name string) (*loaded, error) {
	return read(bundle.NewTarballLoaderWithBaseURL(r, name), "")
}

// resolve finds the folder that holds the files. Kubernetes mounts a volume as
// links to "..data", itself a link to the present folder: that one is read, so
// that one state is seen, and OPA does not take the link for a package.
func resolve(path string) (string, error) {
	if data := filepath.Join(path, "..data"); exists(data) {
		path = data
	}
	return filepath.EvalSymlinks(path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func read(l bundle.DirectoryLoader, base string) (*loaded, error) {
	var files []dataFile
	l = l.WithFilter(func(path string, info fs.FileInfo, _ int) bool { // it lets all through
		if name := shown(path, base); !info.IsDir() && slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, filepath.Base(path)) {
			files = append(files, dataFile{filepath.Dir(filepath.Join("/", strings.TrimPrefix(path, base))), name})
		}
		return false
	})
	r := bundle.NewCustomReader(l).WithProcessAnnotations(true).WithRegoVersion(ast.RegoV1).WithSizeLimitBytes(maxFile).
		WithSkipBundleVerification(true).WithBaseDir(base)
	b, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	out, err := judge(&b, base)
	if err == nil {
		out.files = files
	}
	return out, err
}

// judge tells base from overlay by the manifest's roots, or by what is there.
func judge(b *bundle.Bundle, base string) (*loaded, error) {
	out := &loaded{Bundle: b, revision: b.Manifest.Revision}
	roots := []string{}
	if b.Manifest.Roots != nil {
		roots = *b.Manifest.Roots
	}
	switch {
	case len(roots) == 1 && (roots[0] == rootBase || roots[0] == rootOverlay):
		out.root = roots[0]
	case len(roots) == 0 || len(roots) == 1 && roots[0] == "":
		out.root = rootOverlay
	default:
		return nil, fmt.Errorf("the manifest has the roots %v: a bundle has the root %s (an overlay) or %s (it replaces the base)", roots, rootOverlay, rootBase)
	}
	if err := out.below(base); err != nil {
		return nil, err
	}
	if out.content = digest(b); out.revision == "" {
		out.revision = out.content
	}
	var err error
	out.serial, err = serial(b.Manifest.Metadata)
	return out, err
}

// serial reads the number by which a bundle says how new it is.
func serial(metadata map[string]any) (int64, error) {
	ours, _ := metadata[rootBase].(map[string]any)
	v, there := ours["serial"]
	if !there {
		return 0, nil
	}
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("the manifest's metadata.patrol.serial is %v, not a whole number from 1 on", v)
	}
	return n, nil
}

// below checks that all lies below the bundle's root.
func (l *loaded) below(base string) error {
	var errs []error
	for _, m := range l.Modules {
		if p := m.Parsed.Package.Path; len(p) < 2 || p[1].Value.Compare(ast.String(l.root)) != 0 {
			errs = append(errs, fmt.Errorf("%s:%d: the package %s does not lie under %s", shown(m.Path, base), m.Parsed.Package.Location.Row, strings.TrimPrefix(p.String(), "data."), l.root))
		}
	}
	for key := range l.Data {
		if key != l.root {
			errs = append(errs, fmt.Errorf("data.%s does not lie under %s: put data into a folder %s/", key, l.root, l.root))
		}
	}
	if len(l.Modules) == 0 && len(l.Data) == 0 {
		errs = append(errs, errors.New("the bundle is empty"))
	}
	return errors.Join(errs...)
}

// shown is a file's path for people: within its folder or tarball, if that has a name.
func shown(path, base string) string {
	switch {
	case base == "":
		return strings.TrimPrefix(path, "/")
	case strings.HasPrefix(path, base):
		return path
	}
	return filepath.Join(base, path)
}

// digest is of what a bundle has but for its manifest: the revision of one whose
// manifest gives none.
func digest(b *bundle.Bundle) string {
	h := sha256.New()
	names := make([]string, 0, len(b.Modules))
	by := map[string][]byte{}
	for _, m := range b.Modules {
		names = append(names, m.Path)
		by[m.Path] = m.Raw
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(h, "%d:%s%d:%s", len(filepath.Base(n)), filepath.Base(n), len(by[n]), by[n])
	}
	h.Write(appendDigest(nil, b.Data))
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// appendDigest appends a value of JSON so that no two come to the same bytes: a
// text with its length, an array with its size. Of an object it is the sum of
// its entries' digests, whatever their order: to sort the keys of a large one
// takes longer than to read it.
func appendDigest(b []byte, v any) []byte {
	head := func(kind byte, n int) {
		b = append(strconv.AppendInt(append(b, kind), int64(n), 10), ':')
	}
	text := func(kind byte, s string) {
		head(kind, len(s))
		b = append(b, s...)
	}
	switch v := v.(type) {
	case string:
		text('s', v)
	case map[string]any:
		var all sum
		begin := len(b)
		for k, member := range v {
			text('k', k)
			b = appendDigest(b, member)
			all.add(sha256.Sum256(b[begin:]))
			b = b[:begin]
		}
		head('o', len(v))
		for _, word := range all {
			b = binary.BigEndian.AppendUint64(b, word)
		}
	case []any:
		head('a', len(v))
		for _, e := range v {
			b = appendDigest(b, e)
		}
	case bool:
		text('v', strconv.FormatBool(v))
	default: // numbers, null
		text('v', fmt.Sprint(v))
	}
	return b
}

// sum is a number of 256 bits, its lowest word first.
type sum [4]uint64

func (s *sum) add(digest [sha256.Size]byte) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.BigEndian.Uint64(digest[8*i:]), carry)
	}
}

// pack writes a bundle as a tarball.
func pack(b *bundle.Bundle) ([]byte, error) {
	var buf bytes.Buffer
	if err := bundle.NewWriter(&buf).UseModulePath(true).Write(*b); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
