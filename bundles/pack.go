package bundles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"

	"github.com/patrol-authz/patrol/authz"
)

// Key signs bundles, or verifies them.
type Key struct {
	// Text is the key: PEM, or the secret of HS256 and its like.
	Text string
	// Algorithm is RS256, ES256, HS256 or another one of RFC 7518.
	Algorithm string
	// ID names the key; the configuration of a bundle names it by keyid.
	ID string
}

// Packing says how a bundle is packed.
type Packing struct {
	// Revision stands in the manifest; "" leaves the one that is there.
	Revision string
	// Tests says to take the Rego tests along.
	Tests bool
	// Sign signs it; nil does not.
	Sign *Key
}

// Packed is what a bundle holds.
type Packed struct {
	Root     string `json:"root"`
	Revision string `json:"revision,omitempty"`
	Modules  int    `json:"modules"`
	Signed   bool   `json:"signed"`
}

// Pack writes the bundle at a path as a tarball that OPA's bundle services serve.
// What the gate refuses is not packed.
func Pack(ctx context.Context, o Options, path string, p Packing, to io.Writer) (*Packed, error) {
	if _, err := Check(ctx, o, path); err != nil {
		return nil, err
	}
	l, err := readPath(path)
	if err != nil {
		return nil, err
	}
	b := *l.Bundle
	b.Signatures = bundle.SignaturesConfig{} // of another bundle than the one that is made
	b.Modules = slices.DeleteFunc(slices.Clone(b.Modules), func(m bundle.ModuleFile) bool {
		return !p.Tests && strings.HasSuffix(m.Path, "_test.rego")
	})
	for i := range b.Modules { // of a folder, they have the place of that folder before them
		name := "/" + within(&b.Modules[i])
		b.Modules[i].Path, b.Modules[i].URL, b.Modules[i].RelativePath = name, name, name
	}
	b.Manifest.Roots = &[]string{l.root}
	if p.Revision != "" {
		b.Manifest.Revision = p.Revision
	}
	if p.Sign != nil {
		if err := b.GenerateSignature(bundle.NewSigningConfig(p.Sign.Text, p.Sign.Algorithm, ""), p.Sign.ID, false); err != nil {
			return nil, fmt.Errorf("sign the bundle: %w", err)
		}
	}
	if err := bundle.NewWriter(to).UseModulePath(true).DisableFormat(true).Write(b); err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	return &Packed{Root: l.root, Revision: b.Manifest.Revision, Modules: len(b.Modules), Signed: p.Sign != nil}, nil
}

// Tarball is the bundle at a path as a server takes it: a tarball as it stands, with
// its signature, a folder packed with all that it has. No gate is asked.
func Tarball(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	if !info.IsDir() {
		if info.Size() > authz.MaxShadow {
			return nil, fmt.Errorf("the bundle has %d bytes; %d are the most", info.Size(), authz.MaxShadow)
		}
		packed, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the bundle: %w", err)
		}
		return packed, nil
	}
	l, err := readPath(path)
	if err != nil {
		return nil, err
	}
	for i := range l.Modules { // they have the place of the folder before them
		name := "/" + within(&l.Modules[i])
		l.Modules[i].Path, l.Modules[i].URL, l.Modules[i].RelativePath = name, name, name
	}
	packed, err := pack(l.Bundle)
	if err == nil && len(packed) > authz.MaxShadow {
		err = fmt.Errorf("the bundle has %d bytes packed; %d are the most", len(packed), authz.MaxShadow)
	}
	return packed, err
}

// within is the path of a module within its bundle.
func within(m *bundle.ModuleFile) string {
	name := m.RelativePath
	if name == "" {
		name = m.Path
	}
	return strings.TrimPrefix(name, "/")
}

// Verify reads a tarball, and holds it against the key that it is to be signed with.
func Verify(path string, key Key) (*Packed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	defer f.Close()
	if err := unpacks(f, maxBundle); err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	public, err := keys.NewKeyConfig(key.Text, key.Algorithm, "")
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	config := bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{key.ID: public}, key.ID, "", nil)
	b, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(f, path)).WithSizeLimitBytes(maxFile).WithBundleVerificationConfig(config).Read()
	if err != nil {
		return nil, err
	}
	if len(b.Signatures.Signatures) == 0 {
		return nil, errors.New("the bundle is not signed")
	}
	l, err := judge(&b, "")
	if err != nil {
		return nil, err
	}
	return &Packed{Root: l.root, Revision: b.Manifest.Revision, Modules: len(b.Modules), Signed: true}, nil
}
