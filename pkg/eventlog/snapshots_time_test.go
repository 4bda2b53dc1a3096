package eventlog

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// snapshotChunks counts the chunks that are stored, whosever they are.
func snapshotChunks(t *testing.T, b *Bus) (n uint64) {
	t.Helper()
	s, err := b.js.Stream(within(t), "OBJ_"+b.snapshotsBucket())
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(within(t), jetstream.WithSubjectFilter("$O."+b.snapshotsBucket()+".C.>"))
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	return n
}

// Of a writer that was killed chunks are left that nobody lists. They go when
// nobody can still be storing them.
func TestWhatADeadWriterLeftIsSwept(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		if _, err := b.js.Publish(within(t), "$O."+b.snapshotsBucket()+".C.nobody", []byte("half")); err != nil {
			t.Fatal(err)
		}
		name := putSnapshot(t, b, 1, "whole")
		for _, step := range []struct {
			wait time.Duration
			want uint64
		}{{snapshotTime, 2}, {2 * snapshotTime, 1}} {
			time.Sleep(step.wait)
			if err := b.DeleteSnapshots(within(t), 3); err != nil {
				t.Fatal(err)
			}
			time.Sleep(erasedTTL + 5*time.Second)
			if n := snapshotChunks(t, b); n != step.want {
				t.Errorf("after %s more: %d chunks, want %d", step.wait, n, step.want)
			}
		}
		if content, err := readSnapshot(t, b, name); content != "whole" || err != nil {
			t.Errorf("the one that was listed: %q, %v", content, err)
		}
	})
}

func TestASnapshotWhoseChunksAreGoneSaysSo(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		name := putSnapshot(t, b, 1, "whole")
		s, err := b.js.Stream(within(t), "OBJ_"+b.snapshotsBucket())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(within(t), jetstream.WithPurgeSubject("$O."+b.snapshotsBucket()+".C.>")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r, err := b.OpenSnapshot(within(t), name)
		if err == nil {
			_, err = io.ReadAll(r)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if !errors.Is(err, ErrSnapshotDamaged) || time.Since(began) > 2*replicaLag {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// Whoever is told to stop while it stores takes back what is stored.
func TestASnapshotThatIsInterruptedLeavesNothing(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		ctx, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(strings.NewReader(strings.Repeat("x", 2*snapshotChunk)), readerFunc(func(p []byte) (int, error) {
			cancel()
			return copy(p, "more"), nil
		}))
		if _, err := b.PutSnapshot(ctx, 1, r); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
		nothingIsLeft(t, b)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
