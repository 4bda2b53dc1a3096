package eventlog

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nats-io/nats.go/jetstream"
)

// Operators read a bucket with tools of their own. The client library is one.
func TestAnObjectIsReadByTheClientLibrary(t *testing.T) {
	b := busOn(t)
	store, err := b.js.ObjectStore(within(t), b.inventoriesBucket())
	if err != nil {
		t.Fatal(err)
	}
	var parts uint64
	for _, size := range []int{0, 1, 99, 100, 101, 1000} {
		want := bytes.Repeat([]byte("x"), size)
		if _, err := b.putObject(within(t), b.inventoriesBucket(), "name", 100, iotest.OneByteReader(bytes.NewReader(want))); err != nil {
			t.Fatal(err)
		}
		have, err := store.GetBytes(within(t), "name")
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("read %d bytes, want %d: %v", len(have), size, err)
		}
		info, err := store.GetInfo(within(t), "name")
		if err != nil || info.Size != uint64(size) || info.Chunks != uint32((size+99)/100) || info.Opts.ChunkSize != 100 {
			t.Errorf("%d bytes: the store says %+v, %v", size, info, err)
		}
		// Those of before stay: nobody may erase an inventory.
		if parts += uint64(info.Chunks); storedChunks(t, b) != parts {
			t.Errorf("%d bytes: %d parts are stored, want %d", size, storedChunks(t, b), parts)
		}
	}
}

func TestAnObjectThatCannotBeReadToItsEndChangesNothing(t *testing.T) {
	b := busOn(t)
	if _, err := b.putObject(within(t), b.inventoriesBucket(), "name", 2, strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := b.putObject(within(t), b.inventoriesBucket(), "name", 2, io.MultiReader(strings.NewReader("second"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	store, err := b.js.ObjectStore(within(t), b.inventoriesBucket())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := store.GetString(within(t), "name"); err != nil || text != "first" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestABucketThatIsNotThereIsNamed(t *testing.T) {
	b := busOn(t)
	_, err := b.putObject(within(t), "elsewhere", "name", 2, strings.NewReader("text"))
	if err == nil || !strings.Contains(err.Error(), "open object store elsewhere") {
		t.Errorf("put: %v", err)
	}
}

// storedChunks counts the parts in the bucket of the inventories.
func storedChunks(t *testing.T, b *Bus) (n uint64) {
	t.Helper()
	s, err := b.js.Stream(within(t), bucketStream+b.inventoriesBucket())
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(within(t), jetstream.WithSubjectFilter("$O."+b.inventoriesBucket()+".C.>"))
	if err != nil {
		t.Fatal(err)
	}
	for _, parts := range info.State.Subjects {
		n += parts
	}
	return n
}
