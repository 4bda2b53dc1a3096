package eventlog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func TestAnInventoryIsStoredUnderItsDigest(t *testing.T) {
	b := busOn(t)
	for _, text := range [][]byte{{}, []byte("fleet:\n"), bytes.Repeat([]byte("0123456789abcdef"), 1<<17)} {
		digest, err := b.PutInventory(within(t), text)
		if err != nil {
			t.Fatal(err)
		}
		if want := inventory.Digest(text); digest != want {
			t.Errorf("digest is %s, want %s", digest, want)
		}
		have, err := b.GetInventory(within(t), digest)
		if err != nil || !bytes.Equal(have, text) {
			t.Errorf("read %d bytes, want %d: %v", len(have), len(text), err)
		}
	}
}

func TestStoringAnInventoryAgainChangesNothing(t *testing.T) {
	b := busOn(t)
	size := func() uint64 {
		s, err := b.js.Stream(within(t), "OBJ_"+b.inventoriesBucket())
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.LastSeq
	}
	if _, err := b.PutInventory(within(t), []byte("a")); err != nil {
		t.Fatal(err)
	}
	before := size()
	if _, err := b.PutInventory(within(t), []byte("a")); err != nil {
		t.Fatal(err)
	}
	if after := size(); after != before {
		t.Errorf("%d messages more were written", after-before)
	}
}

func TestADamagedInventoryIsNotReturnedAndCanBeStoredAgain(t *testing.T) {
	b := busOn(t)
	digest, err := b.PutInventory(within(t), []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.putObject(within(t), b.inventoriesBucket(), strings.TrimPrefix(digest, digestPrefix), objectChunk, strings.NewReader("wrong")); err != nil {
		t.Fatal(err)
	}
	if text, err := b.GetInventory(within(t), digest); !errors.Is(err, ErrInventoryDamaged) {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := b.PutInventory(within(t), []byte("right")); err != nil {
		t.Fatal(err)
	}
	if text, err := b.GetInventory(within(t), digest); err != nil || string(text) != "right" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestInventoriesThatCannotBe(t *testing.T) {
	b := busOn(t)
	if _, err := b.GetInventory(within(t), digestPrefix+strings.Repeat("0", 64)); !errors.Is(err, ErrNoInventory) {
		t.Errorf("unknown digest: %v", err)
	}
	for _, digest := range []string{"", "sha256:", strings.Repeat("0", 64), digestPrefix + strings.Repeat("A", 64), digestPrefix + "../x"} {
		if _, err := b.GetInventory(within(t), digest); err == nil || !strings.Contains(err.Error(), "is not a digest") {
			t.Errorf("digest %q: %v", digest, err)
		}
	}
	// A text of that size is not made here: it would be half of a small machine's memory.
	if err := checkInventorySize(MaxInventoryBytes + 1); !errors.Is(err, ErrInventoryTooLarge) {
		t.Errorf("a text above the limit: %v", err)
	}
	if err := checkInventorySize(MaxInventoryBytes); err != nil {
		t.Errorf("a text at the limit: %v", err)
	}
}
