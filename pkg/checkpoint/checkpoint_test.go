package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// watched remembers from where it was followed.
type watched struct {
	*eventlog.Memory
	mu    sync.Mutex
	after []uint64
	// failures is how often it cannot be followed.
	failures int
}

func (w *watched) Follow(ctx context.Context, after uint64) (eventlog.Cursor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after = append(w.after, after)
	if w.failures--; w.failures >= 0 {
		return nil, errors.New("no leader")
	}
	return w.Memory.Follow(ctx, after)
}

func newLog() *watched { return &watched{Memory: eventlog.NewMemory(events.DefaultSubjects(), nil)} }

func grow(t *testing.T, log *watched, n int) {
	t.Helper()
	for range n {
		if _, err := log.AppendRaw(t.Context(), events.Message{Subject: "fleet.events.x"}); err != nil {
			t.Fatal(err)
		}
	}
}

// signed are the sizes of the checkpoints on the log, each of which must hold.
func signed(t *testing.T, log eventlog.Log) (sizes []uint64) {
	t.Helper()
	recent := merkle.NewRecent(new(merkle.Frontier))
	for r, err := range (archive.Live{Log: log}).Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Message.Subject == log.Subjects().Checkpoint() {
			s, err := checkpoint.Of(r)
			if err != nil {
				t.Fatal(err)
			}
			if root, known := recent.RootAt(s.Size); !known || root != s.Root {
				t.Errorf("size %d: root %s, want %s", s.Size, s.Root, root)
			}
			sizes = append(sizes, s.Size)
		}
		recent.Append(merkle.LeafOf(r))
	}
	return sizes
}

// keep runs a Keeper until the test, or what stop does, ends it.
func keep(t *testing.T, c checkpoint.Config) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c.Logger = zerolog.Nop()
	go func() { done <- checkpoint.NewKeeper(c).Run(ctx) }()
	return sync.OnceValue(func() error { cancel(); return <-done })
}

func TestACheckpointIsDueAfterSoManyRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 3})
		for range 10 {
			grow(t, log, 1)
			synctest.Wait()
		}
		if got := signed(t, log); !slices.Equal(got, []uint64{3, 7, 11}) {
			t.Errorf("signed at %v", got)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		// A log that grows by checkpoints only needs no other one.
		stop = keep(t, checkpoint.Config{Log: log, Key: key, Every: 1})
		time.Sleep(time.Hour) // fake time
		if got := signed(t, log); !slices.Equal(got, []uint64{3, 7, 11, 13}) {
			t.Errorf("signed at %v", got)
		}
		_ = stop()
	})
}

func TestAKeeperGoesOnFromTheNewestCheckpointOfItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		grow(t, log, 100)
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 10})
		synctest.Wait()
		_ = stop()
		grow(t, log, 5)
		stop = keep(t, checkpoint.Config{Log: log, Key: key, Every: 10})
		synctest.Wait()
		grow(t, log, 5)
		synctest.Wait()
		_ = stop()
		other := tamper.NewKey(t, "fleet")
		stop = keep(t, checkpoint.Config{Log: log, Key: other, Every: 10})
		synctest.Wait()
		_ = stop()
		if !slices.Equal(log.after, []uint64{0, 100, 0}) {
			t.Errorf("followed behind %v", log.after)
		}
		if got := signed(t, log); !slices.Equal(got, []uint64{100, 111, 112}) {
			t.Errorf("signed at %v", got)
		}
	})
}

func TestALogThatCannotBeFollowedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		log.failures = 3
		grow(t, log, 3)
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 2})
		time.Sleep(time.Minute) // fake time
		if got := signed(t, log); !slices.Equal(got, []uint64{3}) {
			t.Errorf("signed at %v", got)
		}
		_ = stop()
	})
}

func TestTwoKeepersNeverSignOneSizeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		var stops []func() error
		for range 3 {
			stops = append(stops, keep(t, checkpoint.Config{Log: log, Key: key, Every: 5}))
		}
		for range 40 {
			grow(t, log, 4)
			synctest.Wait()
		}
		for _, stop := range stops {
			_ = stop()
		}
		got := signed(t, log)
		if len(got) < 20 || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("signed at %v", got)
		}
	})
}

func TestWhatCannotBeHandedOnIsTriedAgainAndOnlyTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		var mu sync.Mutex
		broken, got := true, []uint64{}
		take := func(_ context.Context, note []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("no place left")
			}
			c, err := merkle.Open(note, key.Public)
			got = append(got, c.Size)
			return err
		}
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 2, HandOn: map[string]func(context.Context, []byte) error{"x": take}})
		for range 3 {
			grow(t, log, 2)
			synctest.Wait()
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		time.Sleep(time.Minute) // fake time
		sizes := signed(t, log)
		if len(sizes) != 3 || !slices.Equal(got, sizes[2:]) {
			t.Errorf("signed %v, handed on %v", sizes, got)
		}
		_ = stop()
		// After a start the newest is handed on again: nobody knows who got it.
		stop = keep(t, checkpoint.Config{Log: log, Key: key, Every: 2, HandOn: map[string]func(context.Context, []byte) error{"x": take}})
		synctest.Wait()
		if !slices.Equal(got, []uint64{sizes[2], sizes[2]}) {
			t.Errorf("handed on %v", got)
		}
		_ = stop()
	})
}

// forge appends a checkpoint of another history, or an old one again.
func forge(t *testing.T, log *watched, tree *merkle.Frontier, key merkle.Key) {
	t.Helper()
	d, _ := tamper.Checkpoint(t, tree, key)
	e := &events.Event{ID: "forged", Source: events.SourcePlanner, Type: events.TypeCheckpointSigned, Time: time.Now(), Data: d}
	if _, err := log.Append(t.Context(), eventlog.Entry{Event: e}); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsSignedBesideAnotherHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		grow(t, log, 10)
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 4})
		synctest.Wait()
		var other merkle.Frontier
		for i := range 10 {
			other.Append(merkle.Hash{byte(i)})
		}
		forge(t, log, &other, key)
		grow(t, log, 20)
		time.Sleep(time.Hour) // fake time
		last, err := log.Last(t.Context())
		if err != nil || last != 10+1+1+20 {
			t.Errorf("the log ends at %d, %v", last, err)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestACheckpointThatIsRepeatedOrOfAnotherKeyIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, key := newLog(), tamper.NewKey(t, "fleet")
		grow(t, log, 4)
		stop := keep(t, checkpoint.Config{Log: log, Key: key, Every: 4})
		synctest.Wait()
		var four, any merkle.Frontier
		for r, err := range (archive.Live{Log: log}).Records(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if any.Append(merkle.LeafOf(r)); r.Sequence <= 4 {
				four.Append(merkle.LeafOf(r))
			}
		}
		forge(t, log, &four, key)
		forge(t, log, &any, tamper.NewKey(t, "fleet"))
		if _, err := log.AppendRaw(t.Context(), events.Message{Subject: log.Subjects().Checkpoint(), Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		grow(t, log, 4)
		synctest.Wait()
		_ = stop()
		s, seq, err := checkpoint.Newest(t.Context(), log)
		if err != nil || s.Size != seq-1 || s.Size != 12 {
			t.Errorf("newest is %d at %d, %v", s.Size, seq, err)
		}
	})
}

func TestCreate(t *testing.T) {
	log, key := newLog(), tamper.NewKey(t, "fleet")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	create := func() (checkpoint.Signed, bool, error) {
		return checkpoint.Create(t.Context(), log, key, events.SourceOperator, now)
	}
	if _, _, err := create(); !errors.Is(err, checkpoint.ErrEmpty) {
		t.Errorf("of nothing: %v", err)
	}
	grow(t, log, 1234)
	first, made, err := create()
	if err != nil || !made || first.Size != 1234 || first.Sequence != 1235 {
		t.Fatalf("%+v, %v, %v", first, made, err)
	}
	again, made, err := create()
	if err != nil || made || again.Size != 1234 || again.Sequence != 1235 {
		t.Errorf("again: %+v, %v, %v", again, made, err)
	}
	grow(t, log, 1)
	if s, made, err := create(); err != nil || !made || s.Size != 1236 {
		t.Errorf("after one more: %+v, %v, %v", s, made, err)
	}
	if got := signed(t, log); !slices.Equal(got, []uint64{1234, 1236}) {
		t.Errorf("signed at %v", got)
	}
}

func TestHandingOnToFileAndCommand(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "note")
	out := filepath.Join(folder, "out")
	for _, text := range []string{"one\n", "two\n"} {
		if err := checkpoint.ToFile(path)(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.ToCommand([]string{"tee", "-a", out})(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	file, err1 := os.ReadFile(path)
	command, err2 := os.ReadFile(out)
	if err := errors.Join(err1, err2); err != nil || string(file) != "two\n" || string(command) != "one\ntwo\n" {
		t.Errorf("%q, %q, %v", file, command, err)
	}
	if err := checkpoint.ToFile(filepath.Join(folder, "none", "note"))(t.Context(), nil); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if err := checkpoint.ToCommand([]string{"sh", "-c", "echo full >&2; exit 1"})(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("got %v", err)
	}
}

// A checkpoint of what is there is signed and appended.
func ExampleCreate() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	if _, err := merkle.CreateKey(folder, "fleet.example/fleet"); err != nil {
		fmt.Println(err)
		return
	}
	key, err := merkle.LoadKey(filepath.Join(folder, merkle.KeyFile))
	if err != nil {
		fmt.Println(err)
		return
	}
	log := eventlog.NewMemory(events.DefaultSubjects(), func() time.Time { return time.Unix(0, 0) })
	if _, err := log.AppendRaw(ctx, events.Message{Subject: "fleet.events.x"}); err != nil {
		fmt.Println(err)
		return
	}
	s, made, err := checkpoint.Create(ctx, log, key, events.SourceOperator, time.Unix(1, 0))
	fmt.Println(s.Size, s.Sequence, made, err)
	fmt.Println(s.Root)
	// Output:
	// 1 2 true <nil>
	// dSVQ1gsltDE+191HlehikHi0PDcrMe4U7+47klfv4jQ=
}
