package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func putSnapshot(t *testing.T, b *Bus, sequence uint64, content string) string {
	t.Helper()
	name, err := b.PutSnapshot(within(t), sequence, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func readSnapshot(t *testing.T, b *Bus, name string) (string, error) {
	t.Helper()
	r, err := b.OpenSnapshot(within(t), name)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return string(content), err
}

func listSnapshots(t *testing.T, b *Bus) []StoredSnapshot {
	t.Helper()
	list, err := b.Snapshots(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestSnapshotsAreListedAsTheyWereStored(t *testing.T) {
	b := busOn(t)
	if list := listSnapshots(t, b); len(list) != 0 {
		t.Errorf("a new fleet has %v", list)
	}
	large := strings.Repeat("0123456789abcdef", 1<<17) // several chunks
	// 9 is of a log that is gone: it is older, however high.
	for _, put := range []struct {
		sequence uint64
		content  string
	}{{9, ""}, {3, "three"}, {4, large}, {4, "of another planner"}} {
		putSnapshot(t, b, put.sequence, put.content)
	}
	var got []string
	for _, s := range listSnapshots(t, b) {
		content, err := readSnapshot(t, b, s.Name)
		if err != nil || uint64(len(content)) != s.Size || s.Time.IsZero() {
			t.Errorf("%+v: %d bytes, %v", s, len(content), err)
		}
		got = append(got, fmt.Sprint(s.Sequence, " ", len(content)))
	}
	if want := fmt.Sprint([]string{"4 18", "4 2097152", "3 5", "9 0"}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOnlyTheNewestSnapshotsAreKept(t *testing.T) {
	b := busOn(t)
	for n := range 5 {
		putSnapshot(t, b, uint64(9-n), "x")
	}
	for range 2 { // again changes nothing
		if err := b.DeleteSnapshots(within(t), 3); err != nil {
			t.Fatal(err)
		}
	}
	var kept []uint64
	for _, s := range listSnapshots(t, b) {
		kept = append(kept, s.Sequence)
	}
	if fmt.Sprint(kept) != "[5 6 7]" {
		t.Errorf("kept %v", kept)
	}
}

func TestOfADeletedSnapshotNothingIsLeft(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		name := putSnapshot(t, b, 1, strings.Repeat("x", 3*snapshotChunk))
		if err := b.DeleteSnapshots(within(t), 0); err != nil {
			t.Fatal(err)
		}
		for range 2 { // while it stands there that it is gone, and later
			if _, err := b.OpenSnapshot(within(t), name); !errors.Is(err, ErrNoSnapshot) {
				t.Errorf("open: %v", err)
			}
			nothingIsLeft(t, b)
		}
	})
}

func TestASnapshotThatFailsHalfWayIsNotThere(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		broken := errors.New("broken")
		r := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), failingReader{broken})
		if _, err := b.PutSnapshot(within(t), 1, r); !errors.Is(err, broken) {
			t.Errorf("put: %v", err)
		}
		if list := listSnapshots(t, b); len(list) != 0 {
			t.Errorf("there is %v", list)
		}
		nothingIsLeft(t, b)
	})
}

// nothingIsLeft waits until what stands in the place of the erased has ended.
func nothingIsLeft(t *testing.T, b *Bus) {
	t.Helper()
	time.Sleep(erasedTTL + 5*time.Second) // fake time
	s, err := b.js.Stream(within(t), bucketStream+b.snapshotsBucket())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestADamagedSnapshotSaysSo(t *testing.T) {
	b := busOn(t)
	name := putSnapshot(t, b, 1, "right")
	store, err := b.js.ObjectStore(within(t), b.snapshotsBucket())
	if err != nil {
		t.Fatal(err)
	}
	info, err := store.GetInfo(within(t), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.js.Stream(within(t), "OBJ_"+b.snapshotsBucket())
	if err != nil {
		t.Fatal(err)
	}
	chunks := "$O." + b.snapshotsBucket() + ".C." + info.NUID
	if err := s.Purge(within(t), jetstream.WithPurgeSubject(chunks)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(within(t), chunks, []byte("wrong")); err != nil {
		t.Fatal(err)
	}
	if content, err := readSnapshot(t, b, name); !errors.Is(err, ErrSnapshotDamaged) {
		t.Errorf("read %q, %v", content, err)
	}
}

func TestSnapshotsThatAreNotThere(t *testing.T) {
	b := busOn(t)
	if _, err := b.OpenSnapshot(within(t), "no-such"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("open: %v", err)
	}
	if err := b.js.DeleteObjectStore(within(t), b.snapshotsBucket()); err != nil {
		t.Fatal(err)
	}
	if list := listSnapshots(t, b); list != nil {
		t.Errorf("without a bucket there is %v", list)
	}
	if _, err := b.PutSnapshot(within(t), 1, strings.NewReader("x")); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("put without a bucket: %v", err)
	}
	if err := b.EnsureStreams(within(t)); err != nil {
		t.Fatal(err)
	}
	putSnapshot(t, b, 1, "x")
}

// Whoever reads only the beginning leaves nothing running; TestMain looks.
func TestASnapshotNeedNotBeReadToTheEnd(t *testing.T) {
	b := busOn(t)
	name := putSnapshot(t, b, 1, strings.Repeat("0123456789abcdef", 1<<18))
	r, err := b.OpenSnapshot(within(t), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.OpenSnapshot(ctx, name); !errors.Is(err, context.Canceled) {
		t.Errorf("in a context that has ended: %v", err)
	}
}
