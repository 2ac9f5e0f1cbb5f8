package credential

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrCreateKey reads a digest key, or makes one where the file is not there:
// 32 random bytes, mode 0600, on the disk before it is used. A key that others
// may read is refused.
func LoadOrCreateKey(path string) ([]byte, error) {
	key, err := loadOrCreate("digest key", path)
	if err == nil && len(key) < 32 {
		err = fmt.Errorf("the digest key %s has %d bytes; it needs at least 32", path, len(key))
	}
	return key, err
}

// LoadKey reads a digest key that must be there.
func LoadKey(path string) ([]byte, error) { return load("digest key", path) }

// LoadOrCreateSigningKey reads the Ed25519 key (its seed of 32 bytes, RFC 8032)
// with which heads of the audit log are signed, or makes one as
// [LoadOrCreateKey] does.
func LoadOrCreateSigningKey(path string) (ed25519.PrivateKey, error) {
	seed, err := loadOrCreate("audit key", path)
	if err != nil {
		return nil, err
	}
	return signingKey(path, seed)
}

// LoadSigningKey reads a signing key that must be there.
func LoadSigningKey(path string) (ed25519.PrivateKey, error) {
	seed, err := load("audit key", path)
	if err != nil {
		return nil, err
	}
	return signingKey(path, seed)
}

func signingKey(path string, seed []byte) (ed25519.PrivateKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the audit key %s has %d bytes; it is a seed of %d", path, len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func load(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the %s %s may be read by others (mode %04o): chmod 600 it", what, path, mode)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	return key, nil
}

func loadOrCreate(what, path string) ([]byte, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return load(what, path)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("make the %s: %w", what, err)
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(key); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("make the %s: %w", what, err)
	}
	// A link, not a rename: of two processes that start at once, one wins.
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return load(what, path)
	} else if err != nil {
		return nil, fmt.Errorf("make the %s: %w", what, err)
	}
	return key, nil
}
