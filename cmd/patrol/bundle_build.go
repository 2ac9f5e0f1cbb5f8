package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/patrol-authz/patrol/bundles"
)

// signingKey are the flags that name a key.
type signingKey struct {
	Key   string `help:"A file with the key: PEM, or the secret of HS256 and its like." type:"path" placeholder:"FILE"`
	Alg   string `help:"The key's algorithm." default:"RS256" enum:"ES256,ES384,ES512,HS256,HS384,HS512,PS256,PS384,PS512,RS256,RS384,RS512" placeholder:"ALGORITHM"`
	KeyID string `name:"key-id" help:"The key's name, as keyid of the bundle's configuration has it." default:"default" placeholder:"NAME"`
}

func (k *signingKey) read() (*bundles.Key, error) {
	if k.Key == "" {
		return nil, nil
	}
	text, err := os.ReadFile(k.Key)
	if err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return nil, usagef("--key: %s is empty", k.Key)
	}
	return &bundles.Key{Text: key, Algorithm: k.Alg, ID: k.KeyID}, nil
}

// BundleBuildCmd packs a bundle.
type BundleBuildCmd struct {
	Path     string `arg:"" type:"path" help:"A folder (or a tarball) with Rego and data."`
	Out      string `help:"The tarball that is written." type:"path" default:"bundle.tar.gz" placeholder:"FILE"`
	Revision string `help:"The revision that the manifest names; by default its own." placeholder:"TEXT"`
	Tests    bool   `help:"Take the Rego tests along."`
	signingKey
}

// Help gives examples.
func (*BundleBuildCmd) Help() string {
	return "Packs a tarball for a bundle service. What the gate refuses (see patrol policy check) is not packed. With --key it is signed, as OPA does, also a tarball that was packed elsewhere; the key is read from a file alone.\n\n" +
		example("patrol bundle build ./policy --revision 2026-11-24", "patrol bundle build ./policy --key private.pem --alg ES256 --key-id release")
}

// Run packs it.
func (c *BundleBuildCmd) Run(ctx context.Context, cli *CLI) error {
	key, err := c.read()
	if err != nil {
		return err
	}
	var tarball bytes.Buffer
	packed, err := bundles.Pack(ctx, gateOptions(PolicyConfig{}, nil), c.Path, bundles.Packing{Revision: c.Revision, Tests: c.Tests, Sign: key}, &tarball)
	if err != nil {
		return err
	}
	if err := replaceFile(c.Out, tarball.Bytes()); err != nil {
		return err
	}
	return cli.print(packed, func(t *table) {
		t.row("written", fmt.Sprintf("%s, %d bytes", c.Out, tarball.Len()))
		showPacked(t, packed)
	})
}

// BundleVerifyCmd verifies a bundle's signature.
type BundleVerifyCmd struct {
	File string `arg:"" type:"path" help:"The tarball."`
	signingKey
}

// Help gives an example.
func (*BundleVerifyCmd) Help() string {
	return "Says whether a tarball is signed by a key, and is as it was signed. Whether the gate takes it, patrol policy check says.\n\n" +
		example("patrol bundle verify bundle.tar.gz --key public.pem --alg ES256 --key-id release")
}

// Run verifies it.
func (c *BundleVerifyCmd) Run(cli *CLI) error {
	key, err := c.read()
	if err != nil {
		return err
	}
	if key == nil {
		return usagef("--key is missing: the public key, or the secret, that the bundle is to be signed with")
	}
	packed, err := bundles.Verify(c.File, *key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return cli.print(packed, func(t *table) { showPacked(t, packed) })
}

func showPacked(t *table, p *bundles.Packed) {
	t.row("root", p.Root)
	t.row("revision", dash(p.Revision))
	t.row("modules", p.Modules)
	signed := "no"
	if p.Signed {
		signed = "yes"
	}
	t.row("signed", signed)
}
