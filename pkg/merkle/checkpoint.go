package merkle

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxNoteBytes bounds a signed checkpoint.
const MaxNoteBytes = 16 << 10

// ErrSignature means that a checkpoint is signed by none of the keys that are
// believed, or not as it should be.
var ErrSignature = errors.New("signature does not hold")

// Checkpoint says what a log was: its name, how many records it had, and the
// root of the tree over them.
type Checkpoint struct {
	// Origin is the name of the log, which is also that of the key it is signed
	// with.
	Origin string
	Size   uint64
	Root   Hash
}

// Text is what is signed: three lines with the origin, the size in decimal and
// the root in base64, each with its line feed.
func (c Checkpoint) Text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root) }

// parseText is strict: a text has one spelling.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, fmt.Errorf("it has %d lines, not three", len(lines)-1)
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > MaxSize {
		return Checkpoint{}, fmt.Errorf("its size %q is not a number from 0 to %d", lines[1], uint64(MaxSize))
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its root %q is not base64 of 32 bytes", lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if err := CheckName(c.Origin); err != nil {
		return Checkpoint{}, err
	}
	if c.Text() != text {
		return Checkpoint{}, errors.New("its numbers are not in the shortest form")
	}
	return c, nil
}

// Sign makes the signed note of a checkpoint. Its origin must be the key's name.
func Sign(c Checkpoint, key note.Signer) ([]byte, error) {
	if c.Origin != key.Name() {
		return nil, fmt.Errorf("sign checkpoint: its origin is %q, the key is of %q", c.Origin, key.Name())
	}
	if _, err := parseText(c.Text()); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, key)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// Open reads a signed checkpoint and verifies it: one of keys must have signed
// it, and that key's name must be its origin. Whatever is signed otherwise is
// ErrSignature.
func Open(signed []byte, keys ...note.Verifier) (Checkpoint, error) {
	c, n, err := parse(signed, keys)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	for _, s := range n.Sigs {
		if s.Name == c.Origin {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("open checkpoint of %s, size %d: %w: it has %s", c.Origin, c.Size, ErrSignature, signers(n))
}

// Read reads a signed checkpoint and believes it: who signed it is not looked at.
func Read(signed []byte) (Checkpoint, error) {
	c, _, err := parse(signed, nil)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return c, nil
}

func parse(signed []byte, keys []note.Verifier) (Checkpoint, *note.Note, error) {
	if len(signed) > MaxNoteBytes {
		return Checkpoint{}, nil, fmt.Errorf("it has more than %d bytes", MaxNoteBytes)
	}
	n, err := note.Open(signed, note.VerifierList(keys...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		n = unverified.Note
	case errors.As(err, &invalid):
		return Checkpoint{}, nil, fmt.Errorf("%w: that of %s (%08x) is not over this text", ErrSignature, invalid.Name, invalid.Hash)
	case err != nil:
		return Checkpoint{}, nil, fmt.Errorf("it is not a signed note: %w", err)
	}
	if !canonical(signed, n) {
		return Checkpoint{}, nil, errors.New("it is not a signed note in its one spelling")
	}
	c, err := parseText(n.Text)
	return c, n, err
}

// canonical refuses what base64 leaves open, and signatures that stand twice,
// so that a note cannot be changed at all.
func canonical(signed []byte, n *note.Note) bool {
	sizes := len(n.Text) + 1
	for _, s := range append(n.Sigs[:len(n.Sigs):len(n.Sigs)], n.UnverifiedSigs...) {
		raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != s.Base64 {
			return false
		}
		sizes += len("— ") + len(s.Name) + 1 + len(s.Base64) + 1
	}
	return sizes == len(signed)
}

func signers(n *note.Note) string {
	var all []string
	for _, s := range append(n.Sigs[:len(n.Sigs):len(n.Sigs)], n.UnverifiedSigs...) {
		all = append(all, fmt.Sprintf("%s (%08x)", s.Name, s.Hash))
	}
	return "signatures of " + strings.Join(all, ", ")
}

// Resume goes on from a checkpoint and the edge that was kept with it, if the
// two belong together.
func Resume(c Checkpoint, edge []Hash) (*Frontier, error) {
	f, err := NewFrontier(c.Size, edge)
	if err != nil {
		return nil, err
	}
	if f.Root() != c.Root {
		return nil, fmt.Errorf("take up frontier: its root is %s, that of the checkpoint of size %d is %s", f.Root(), c.Size, c.Root)
	}
	return f, nil
}
