package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

func spool(t testing.TB, file []byte, o archive.Options) *archive.File {
	t.Helper()
	f, err := archive.Spool(bytes.NewReader(file), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func read(t testing.TB, src archive.Source, after uint64) []eventlog.Record {
	t.Helper()
	var all []eventlog.Record
	for r, err := range src.Records(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// same compares all that a reader of a log sees.
func same(a, b eventlog.Record) bool {
	headers := func(h map[string][]string) map[string][]string {
		h = maps.Clone(h)
		maps.DeleteFunc(h, func(_ string, v []string) bool { return len(v) == 0 })
		return h
	}
	return a.Sequence == b.Sequence && a.Time.Equal(b.Time) && a.Message.Subject == b.Message.Subject &&
		bytes.Equal(a.Message.Data, b.Message.Data) && (a.Event == nil) == (b.Event == nil) && (a.Err == nil) == (b.Err == nil) &&
		maps.EqualFunc(headers(a.Message.Header), headers(b.Message.Header), slices.Equal) && merkle.LeafOf(a) == merkle.LeafOf(b)
}

func TestAFileIsReadAsTheLogItWasWrittenFrom(t *testing.T) {
	s := tamper.Tell(t)
	f := spool(t, s.File(t), archive.Options{})
	for _, after := range []uint64{0, 1, 12, uint64(len(s.Log))} {
		got := read(t, f, after)
		if !slices.EqualFunc(got, s.Log[after:], same) {
			t.Errorf("behind %d: read\n%v\nwant\n%v", after, got, s.Log[after:])
		}
	}
	for digest, text := range s.Inventories {
		if got, err := f.Inventory(t.Context(), digest); err != nil || !bytes.Equal(got, text) {
			t.Errorf("inventory %s: %q, %v", digest, got, err)
		}
	}
	if _, err := f.Inventory(t.Context(), "sha256:none"); !errors.Is(err, eventlog.ErrNoInventory) {
		t.Errorf("no inventory: %v", err)
	}
	again := &tamper.Story{Log: read(t, f, 0), Inventories: s.Inventories}
	if !bytes.Equal(again.File(t), s.File(t)) {
		t.Error("what was read is written otherwise")
	}
	sum, err := f.Verify(t.Context())
	if err != nil || sum.Inventories != 2 || sum.Checkpoints != 2 || sum.Checkpoint.Size != 19 || sum.Checkpoint.Origin != tamper.Origin || sum.Missing != nil {
		t.Errorf("summary %+v, %v", sum, err)
	}
}

// An audit asks for each inventory as soon as it is applied.
func TestAnInventoryIsThereWhenItIsApplied(t *testing.T) {
	s := tamper.Tell(t)
	f := spool(t, s.File(t), archive.Options{})
	for r, err := range f.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event != nil && r.Event.Type == events.TypeInventoryApplied {
			digest := r.Event.Data.(*events.InventoryApplied).Digest
			if text, err := f.Inventory(t.Context(), digest); err != nil || !bytes.Equal(text, s.Inventories[digest]) {
				t.Errorf("sequence %d: %q, %v", r.Sequence, text, err)
			}
		}
	}
}

func TestEveryByteOfAFileCounts(t *testing.T) {
	s := tamper.Tell(t)
	text := s.File(t)
	path := filepath.Join(t.TempDir(), "export")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := archive.Open(path, knowing(s, tamper.Key))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for i := range text {
		_, err1 := disk.WriteAt([]byte{text[i] ^ 1}, int64(i))
		if _, err := f.Verify(t.Context()); err == nil {
			t.Fatalf("byte %d, in line %d: not found", i, bytes.Count(text[:i], []byte("\n"))+1)
		}
		_, err2 := disk.WriteAt(text[i:i+1], int64(i))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := len(text) - 1; i >= 0; i -= 7 {
		if err := disk.Truncate(int64(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Verify(t.Context()); err == nil {
			t.Fatalf("cut off at byte %d: not found", i)
		}
	}
}

func TestPartsMakeAWhole(t *testing.T) {
	s := tamper.Tell(t)
	size := uint64(len(s.Log))
	o := knowing(s, tamper.KeyAndKept)
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.Uint64Range(0, size).Draw(rt, "first")
		second := rapid.Uint64Range(first, size).Draw(rt, "second")
		part := func(since, until uint64) []byte {
			var b bytes.Buffer
			e := archive.Export{Source: s, Subjects: events.DefaultSubjects(), Since: since, Until: until}
			if _, err := e.Write(t.Context(), &b); err != nil {
				rt.Fatal(err)
			}
			return b.Bytes()
		}
		whole := slices.Concat(part(0, first), part(first, second), part(second, size))
		sum, err := verify(t, whole, o)
		if err != nil || sum.Size != size {
			rt.Fatalf("%+v, %v", sum, err)
		}
		if got := read(t, spool(t, whole, archive.Options{}), 0); !slices.EqualFunc(got, s.Log, same) {
			rt.Error("the records are others")
		}
		alone := part(first, size)
		want, _ := verify(t, s.File(t), archive.Options{})
		if sum, err := verify(t, alone, archive.Options{Keys: o.Keys}); err != nil || sum.After != first || sum.Root != want.Root || sum.Checkpoint != want.Checkpoint {
			rt.Errorf("a part alone: %+v, %v", sum, err)
		}
		if first > 0 {
			for _, err := range spool(t, alone, archive.Options{}).Records(t.Context(), 0) {
				if !errors.Is(err, archive.ErrPart) {
					rt.Errorf("a part as a whole: %v", err)
				}
			}
		}
	})
}

func TestACheckpointFromBeforeAPartCannotBeCompared(t *testing.T) {
	s := tamper.Tell(t)
	_, err := verify(t, tamper.Export(t, s, 12), archive.Options{Kept: []merkle.Checkpoint{s.Early}})
	if !errors.Is(err, archive.ErrPart) {
		t.Errorf("got %v", err)
	}
	// The frontier that a part begins with is as good as its records.
	if _, err := verify(t, tamper.Export(t, s, 11), archive.Options{Kept: []merkle.Checkpoint{s.Early}}); err != nil {
		t.Error(err)
	}
}

func TestWithAKeySomethingMustBeSigned(t *testing.T) {
	s := tamper.Tell(t)
	s.Log = s.Log[:5]
	if _, err := verify(t, s.File(t), archive.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, s.File(t), knowing(s, tamper.Key)); err == nil || !strings.Contains(err.Error(), "nothing is signed") {
		t.Errorf("got %v", err)
	}
	if _, err := verify(t, tamper.Export(t, s, 2), knowing(s, tamper.Key)); err == nil || !strings.Contains(err.Error(), "nothing is signed") {
		t.Errorf("a part: %v", err)
	}
}

// A checkpoint far behind its records is compared all the same, in a second pass.
func TestACheckpointOfLongAgoIsCompared(t *testing.T) {
	key := tamper.NewKey(t, "old")
	for name, wrong := range map[string]bool{"right": false, "wrong": true} {
		t.Run(name, func(t *testing.T) {
			log := eventlog.NewMemory(events.DefaultSubjects(), nil)
			var tree merkle.Frontier
			add := func(m events.Message) {
				if _, err := log.AppendRaw(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			for range 10 {
				add(events.Message{Subject: "fleet.events.x"})
			}
			for _, r := range read(t, archive.Live{Log: log}, 0) {
				tree.Append(merkle.LeafOf(r))
			}
			if wrong {
				edge := tree.Edge()
				edge[0][0] ^= 1
				other, err := merkle.NewFrontier(10, edge)
				if err != nil {
					t.Fatal(err)
				}
				tree = *other
			}
			for range 20000 {
				add(events.Message{Subject: "fleet.events.x"})
			}
			d, _ := tamper.Checkpoint(t, &tree, key)
			if _, err := log.Append(t.Context(), eventlog.Entry{Event: &events.Event{ID: "c", Source: events.SourcePlanner, Type: events.TypeCheckpointSigned, Time: s0, Data: d}}); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := (archive.Export{Source: archive.Live{Log: log}, Subjects: log.Subjects(), Until: 20011}).Write(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			_, err := verify(t, b.Bytes(), archive.Options{})
			var fault *archive.Fault
			if errors.As(err, &fault) != wrong || wrong && (fault.Line != 20012 || fault.Sequence != 20011) {
				t.Errorf("got %v", err)
			}
		})
	}
}

var s0 = tamperTime()

// stopping ends ctx when it is at a sequence.
type stopping struct {
	*tamper.Story
	at     uint64
	cancel context.CancelFunc
}

func (s stopping) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range s.Story.Records(ctx, after) {
			if r.Sequence == s.at {
				s.cancel()
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestWhatIsInterruptedCanBeGoneOnWith(t *testing.T) {
	s := tamper.Tell(t)
	for at := uint64(1); at <= uint64(len(s.Log)); at++ {
		ctx, cancel := context.WithCancel(t.Context())
		var b bytes.Buffer
		e := archive.Export{Source: stopping{s, at, cancel}, Subjects: events.DefaultSubjects(), Until: uint64(len(s.Log))}
		sum, err := e.Write(ctx, &b)
		if !errors.Is(err, context.Canceled) || sum.Size != at-1 {
			t.Fatalf("%+v, %v", sum, err)
		}
		e.Source, e.Since = s, sum.Size
		if _, err := e.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if sum, err := verify(t, b.Bytes(), knowing(s, tamper.KeyAndKept)); err != nil || sum.Size != e.Until {
			t.Errorf("interrupted at %d: %v", at, err)
		}
		if at > 5 {
			var part bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			e := archive.Export{Source: stopping{s, at - 5, cancel}, Subjects: events.DefaultSubjects(), Since: at, Until: e.Until}
			if _, err := e.Write(ctx, &part); !errors.Is(err, context.Canceled) || part.Len() > 0 {
				t.Errorf("before its first record: %d bytes, %v", part.Len(), err)
			}
		}
	}
}

func TestAnInventoryThatCannotBeHadIsSaidToBeMissing(t *testing.T) {
	s := tamper.Tell(t)
	var gone string
	for digest := range s.Inventories {
		gone = max(gone, digest)
	}
	delete(s.Inventories, gone)
	sum, err := verify(t, s.File(t), archive.Options{})
	if err != nil || !slices.Equal(sum.Missing, []string{gone}) || sum.Inventories != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	f := spool(t, s.File(t), archive.Options{})
	if _, err := f.Inventory(t.Context(), gone); !errors.Is(err, eventlog.ErrNoInventory) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ *tamper.Story }

var errBroken = errors.New("broken")

func (failing) Inventory(context.Context, string) ([]byte, error) { return nil, errBroken }

type noWriter struct{}

func (noWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailureIsNoFile(t *testing.T) {
	s := tamper.Tell(t)
	e := archive.Export{Source: failing{s}, Subjects: events.DefaultSubjects(), Until: 3}
	if _, err := e.Write(t.Context(), io.Discard); !errors.Is(err, errBroken) {
		t.Errorf("an inventory: %v", err)
	}
	e.Source = s
	if _, err := e.Write(t.Context(), noWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("a writer: %v", err)
	}
	for _, e := range []archive.Export{{Since: 4, Until: 3}, {Until: 1000}} {
		e.Source, e.Subjects = s, events.DefaultSubjects()
		if _, err := e.Write(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "the log ends at sequence") {
			t.Errorf("since %d until %d: %v", e.Since, e.Until, err)
		}
	}
}

func TestAnEmptyLogIsAFileToo(t *testing.T) {
	s := &tamper.Story{}
	sum, err := verify(t, s.File(t), archive.Options{})
	if err != nil || sum.Size != 0 || bytes.Count(s.File(t), []byte("\n")) != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for what, c := range map[string]struct{ text, says string }{
		"nothing":           {"", "file is empty"},
		"a line that ends":  {"\n", "no first line of an export"},
		"half a line":       {`{"fleetfold_export":1`, "cut off"},
		"another format":    {"{\"fleetfold_export\":2,\"x\":1}\n", "format 2 is not known"},
		"a prefix of two":   {strings.Replace(string((&tamper.Story{}).File(t)), `"fleet"`, `"a.b"`, 1), "prefix"},
		"an edge too short": {`{"fleetfold_export":1,"prefix":"fleet","after":3,"chain":"` + strings.Repeat("0", 64) + `","frontier":[]}` + "\n", "frontier"},
		"a size beyond all": {`{"fleetfold_export":1,"prefix":"fleet","after":18446744073709551615,"chain":"` + strings.Repeat("0", 64) + `","frontier":[]}` + "\n", "above"},
	} {
		if _, err := archive.Spool(strings.NewReader(c.text), archive.Options{}); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := archive.Open(filepath.Join(t.TempDir(), "none"), archive.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := archive.Open(t.TempDir(), archive.Options{}); err == nil {
		t.Error("opened a folder")
	}
}

// Whatever is accepted is what an export writes.
func FuzzFile(f *testing.F) {
	s := tamper.Tell(f)
	f.Add(s.File(f))
	f.Add((&tamper.Story{}).File(f))
	f.Add(tamper.Export(f, s, 12))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := archive.Spool(bytes.NewReader(text), archive.Options{})
		if err != nil {
			return
		}
		defer file.Close()
		sum, err := file.Verify(t.Context())
		if err != nil || sum.After > 0 || bytes.Count(text, []byte(`{"fleetfold_export":`)) > 1 {
			return
		}
		var b bytes.Buffer
		e := archive.Export{Source: file, Subjects: file.Subjects(), Until: sum.Size}
		if _, err := e.Write(t.Context(), &b); err != nil || !bytes.Equal(b.Bytes(), text) {
			t.Errorf("%v: %q was accepted, it is written as %q", err, text, b.Bytes())
		}
	})
}
