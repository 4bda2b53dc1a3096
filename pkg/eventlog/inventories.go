package eventlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// MaxInventoryBytes is the largest text of an inventory, in bytes: ten million
// nodes, of about a hundred bytes each. Whoever stores or reads one holds the whole
// text for a while, and more than this would be a mistake rather than a fleet.
const MaxInventoryBytes = 1 << 30

// largeInventory is from when on a text is stored in fewer, larger parts: the
// server syncs each.
const largeInventory = 16 << 20

// Errors of the texts of inventories.
var (
	// ErrNoInventory means that no text is stored under a digest.
	ErrNoInventory = errors.New("no such inventory")
	// ErrInventoryDamaged means that the stored text is not the one its digest names.
	ErrInventoryDamaged = errors.New("stored inventory is damaged")
	// ErrInventoryTooLarge means that a text has more than MaxInventoryBytes.
	ErrInventoryTooLarge = errors.New("inventory is too large")
)

const digestPrefix = "sha256:"

// PutInventory stores a text and returns its digest, "sha256:" and the hash of
// its bytes in lower-case hex. To store a text again changes nothing.
func (b *Bus) PutInventory(ctx context.Context, text []byte) (digest string, err error) {
	if err := checkInventorySize(uint64(len(text))); err != nil {
		return "", fmt.Errorf("store inventory: %w", err)
	}
	sum := sha256.Sum256(text)
	name := hex.EncodeToString(sum[:])
	info, err := b.objectInfo(ctx, b.inventoriesBucket(), name)
	switch {
	case err == nil && info.Size == uint64(len(text)) && info.Digest == "SHA-256="+base64.URLEncoding.EncodeToString(sum[:]):
		return digestPrefix + name, nil
	case err != nil && !errors.Is(err, errNoObject) && !errors.Is(err, errObjectDamaged):
		return "", fmt.Errorf("look up inventory %s: %w", name, plain(err))
	}
	chunk := objectChunk
	if len(text) > largeInventory {
		chunk = snapshotChunk
	}
	if _, err := b.putObject(ctx, b.inventoriesBucket(), name, chunk, bytes.NewReader(text)); err != nil {
		return "", fmt.Errorf("store inventory %s: %w", name, plain(err))
	}
	return digestPrefix + name, nil
}

// GetInventory returns the text with this digest, and has verified it.
func (b *Bus) GetInventory(ctx context.Context, digest string) ([]byte, error) {
	name, err := digestName(digest)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	text, err := b.readInventory(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read inventory %s: %w", digest, err)
	}
	return text, nil
}

// readInventory reads a text. When two store the same one at once the last one's
// parts count, and the others stay where they are.
func (b *Bus) readInventory(ctx context.Context, name string) ([]byte, error) {
	info, err := b.objectInfo(ctx, b.inventoriesBucket(), name)
	if errors.Is(err, errNoObject) {
		return nil, ErrNoInventory
	}
	if err != nil {
		return nil, damagedInventory(err)
	}
	text, err := b.readText(ctx, info)
	if err == nil && hashName(text) != name {
		err = ErrInventoryDamaged
	}
	return text, damagedInventory(err)
}

func damagedInventory(err error) error {
	if errors.Is(err, errObjectDamaged) {
		return fmt.Errorf("%w: %w", ErrInventoryDamaged, err)
	}
	return err
}

func (b *Bus) readText(ctx context.Context, info jetstream.ObjectInfo) ([]byte, error) {
	if err := checkInventorySize(info.Size); err != nil {
		return nil, err
	}
	// Room for all at once: a buffer that grows would for a while be twice as much.
	text := bytes.NewBuffer(make([]byte, 0, info.Size+bytes.MinRead))
	_, err := text.ReadFrom(io.LimitReader(b.openObject(ctx, b.inventoriesBucket(), info), MaxInventoryBytes+1))
	if err == nil && text.Len() > MaxInventoryBytes {
		err = ErrInventoryTooLarge
	}
	return text.Bytes(), err
}

func checkInventorySize(size uint64) error {
	if size > MaxInventoryBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrInventoryTooLarge, size, MaxInventoryBytes)
	}
	return nil
}

func hashName(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// CheckDigest says whether a digest is of the form that PutInventory returns.
func CheckDigest(digest string) error {
	_, err := digestName(digest)
	return err
}

// digestName is the object that a digest names.
func digestName(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, digestPrefix)
	raw, err := hex.DecodeString(name)
	if !ok || err != nil || len(raw) != sha256.Size || name != strings.ToLower(name) {
		return "", fmt.Errorf("%q is not a digest: \"sha256:\" and 64 lower-case hex digits", digest)
	}
	return name, nil
}
