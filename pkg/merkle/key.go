package merkle

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// Names of the files that CreateKey makes.
const (
	KeyFile    = "checkpoint.key"
	PublicFile = "checkpoint.pub"
)

const (
	maxNameBytes = 255
	maxKeyBytes  = 4 << 10
)

// CheckName says whether a log, and the key for it, may be called so: up to 255
// bytes of UTF-8 without spaces, control characters and "+".
func CheckName(name string) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) || strings.IndexFunc(name, bad) >= 0 {
		return fmt.Errorf("%q cannot be the name of a log: 1 to %d bytes without spaces, control characters and +", name, maxNameBytes)
	}
	return nil
}

// CreateKey makes an Ed25519 key pair for the log of this name and writes it to
// two files in folder, each one line as package note has it: checkpoint.key,
// for its owner only, and checkpoint.pub, for everybody who verifies. A file
// that is there already is left alone, and nothing is made. The folder is made
// where it is missing, for its owner only.
func CreateKey(folder, name string) (public string, err error) {
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	key, pub := filepath.Join(folder, KeyFile), filepath.Join(folder, PublicFile)
	if _, err := os.Lstat(pub); err == nil {
		return "", fmt.Errorf("make key: %s is there already: name another folder, or move it away", pub)
	}
	if err := createFile(key, secret, 0o600); err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	if err := createFile(pub, public, 0o644); err != nil {
		return "", fmt.Errorf("make key: %w", errors.Join(err, os.Remove(key)))
	}
	return public, nil
}

func createFile(path, line string, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: name another folder, or move it away", path)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// Key signs checkpoints, and has with it what verifies them.
type Key struct {
	note.Signer
	Public note.Verifier
}

// LoadKey reads the key that signs. Its file must be for its owner only.
func LoadKey(path string) (Key, error) {
	text, mode, err := readLine(path)
	if err != nil {
		return Key{}, fmt.Errorf("load checkpoint key: %w", err)
	}
	if mode.Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("load checkpoint key %s: its mode is %04o, so others can get at it: if none did, run chmod 600 %s; otherwise make a new one", path, mode.Perm(), path)
	}
	key, err := parseKey(text)
	if err != nil {
		// The cause stays out of the message: it could quote the file.
		return Key{}, fmt.Errorf("load checkpoint key %s: it does not hold one line PRIVATE+KEY+NAME+HASH+KEY: make one with fleetfold checkpoint key", path)
	}
	return key, nil
}

func parseKey(text string) (Key, error) {
	signer, err := note.NewSigner(text)
	if err == nil {
		err = CheckName(signer.Name())
	}
	if err != nil {
		return Key{}, err
	}
	// PRIVATE+KEY+NAME+HASH+, and the kind of key in one byte before its seed.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 5)[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Key{}, errors.New("it has no seed")
	}
	pub, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, errors.New("it has no public half")
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), pub)
	if err != nil {
		return Key{}, err
	}
	verifier, err := note.NewVerifier(public)
	return Key{signer, verifier}, err
}

// LoadVerifier reads the key that verifies.
func LoadVerifier(path string) (note.Verifier, error) {
	text, _, err := readLine(path)
	if err != nil {
		return nil, fmt.Errorf("load public checkpoint key: %w", err)
	}
	key, err := note.NewVerifier(text)
	switch {
	case err == nil:
		return key, CheckName(key.Name())
	case strings.HasPrefix(text, "PRIVATE+KEY+"):
		return nil, fmt.Errorf("load public checkpoint key %s: it holds the key that signs, which only the planner needs: give %s", path, PublicFile)
	}
	return nil, fmt.Errorf("load public checkpoint key %s: it does not hold one line NAME+HASH+KEY", path)
}

func readLine(path string) (string, os.FileMode, error) {
	// Stat comes first so that a pipe cannot block the open.
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyBytes+1))
	if err == nil && len(text) > maxKeyBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxKeyBytes)
	}
	return strings.TrimSuffix(string(text), "\n"), info.Mode(), err
}
