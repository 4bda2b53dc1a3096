package busdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Files below the folder of a bus whose servers ask for tokens. None of it
// belongs on a server.
func keysDir(dir string) string           { return filepath.Join(dir, "keys") }
func operatorSeed(dir string) string      { return filepath.Join(keysDir(dir), "operator.nk") }
func operatorToken(dir string) string     { return filepath.Join(keysDir(dir), "operator.jwt") }
func accountSeed(dir, n string) string    { return filepath.Join(keysDir(dir), "accounts", n+".nk") }
func accountToken(dir, n string) string   { return filepath.Join(keysDir(dir), "accounts", n+".jwt") }
func signingSeed(dir, role string) string { return filepath.Join(keysDir(dir), "signing", role+".nk") }
func issuedFile(dir string) string        { return filepath.Join(keysDir(dir), "issued.jsonl") }

// maxSmall is more than any file of ours with one key or token has, but for the
// list of what was issued.
const maxSmall = 1 << 20

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("load key %s: its mode is %04o, so others can get at it: if none did, run chmod 600 %s; otherwise make a new one", path, info.Mode().Perm(), path)
	case info.Size() > maxSmall:
		return nil, fmt.Errorf("load key %s: it has %d bytes, more than any key", path, info.Size())
	}
	return os.ReadFile(path)
}

// openSeed makes the key where there may be a new one, and never replaces one.
func openSeed(path string, kind nkeys.PrefixByte, mayMake bool) (nkeys.KeyPair, error) {
	text, err := readPrivate(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && mayMake:
		return makeSeed(path, kind)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("load key %s: it is not there, but what it has signed is: restore it from a backup", path)
	case err != nil:
		return nil, err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(text))
	if err == nil {
		var seed []byte
		if seed, err = pair.Seed(); err == nil {
			var have nkeys.PrefixByte
			if have, _, err = nkeys.DecodeSeed(seed); err == nil && have == kind {
				return pair, nil
			}
		}
	}
	// The cause stays out of the message: it could quote the file.
	return nil, fmt.Errorf("load key %s: it does not hold one nkey seed for this use: restore it from a backup", path)
}

func makeSeed(path string, kind nkeys.PrefixByte) (nkeys.KeyPair, error) {
	pair, err := nkeys.CreatePair(kind)
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", path, err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", path, err)
	}
	if err := identity.OwnFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("make key %s: %w", path, err)
	}
	return pair, identity.WriteFileAtomic(path, append(seed, '\n'), 0o600)
}
