package eventlog_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func server(t *testing.T) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func bus(t *testing.T, s *natsd.Server, o eventlog.Options) *eventlog.Bus {
	t.Helper()
	o.InProcess = s
	b, err := eventlog.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func spool(t *testing.T, file []byte, o archive.Options) *archive.File {
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

func read(t *testing.T, src archive.Source, after uint64) []eventlog.Record {
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

// same: the leaf covers all that a record is.
func same(a, b eventlog.Record) bool {
	return merkle.LeafOf(a) == merkle.LeafOf(b) && (a.Event == nil) == (b.Event == nil) && (a.Err == nil) == (b.Err == nil)
}

func live(b *eventlog.Bus) archive.Live { return archive.Live{Log: b.Log(), Get: b.GetInventory} }

// odd is the story, and behind it what is hard to store again.
func odd(t *testing.T) *tamper.Story {
	s := tamper.Tell(t)
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	for _, header := range []map[string][]string{
		{"Fleetfold-Time": {"2026-01-01T00:00:00Z"}},
		{"Fleetfold-Headers": {"packed:x"}, "Fleetfold-Time": {"y", "z"}},
		{"a b": {" blanks "}, "é": {"ü"}},
		{"with:colon": {"two\r\nlines"}, "": {"no name"}},
	} {
		if _, err := log.AppendRaw(t.Context(), events.Message{Subject: "fleet.events.x", Header: header, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	end := uint64(len(s.Log))
	for _, r := range read(t, archive.Live{Log: log}, 0) {
		r.Sequence += end
		s.Log = append(s.Log, r)
	}
	return s
}

func TestAnImportedLogIsTheSameToEveryReader(t *testing.T) {
	s := odd(t)
	srv := server(t)
	b := bus(t, srv, eventlog.Options{})
	var told []uint64
	i := archive.Import{File: spool(t, s.File(t), archive.Options{}), Bus: b, Progress: func(seq uint64) { told = append(told, seq) }}
	sum, err := i.Run(t.Context())
	if err != nil || sum.Size != uint64(len(s.Log)) || !slices.Equal(told, []uint64{sum.Size}) {
		t.Fatalf("%+v, %v, %v", sum, told, err)
	}
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Errorf("a planner is not let in: %v", err)
	}
	readers := map[string][]eventlog.Record{"the importer": read(t, live(b), 0)}
	for name, o := range map[string]eventlog.Options{"a service": {}, "a person": {NoConsumers: true}} {
		b := bus(t, srv, o)
		readers[name+" who reads"] = read(t, live(b), 0)
		fresh := bus(t, srv, o)
		readers[name+" who follows"] = follow(t, fresh.Log(), len(s.Log))
	}
	for name, got := range readers {
		if !slices.EqualFunc(got, s.Log, same) {
			t.Errorf("%s sees\n%v\nwant\n%v", name, got, s.Log)
		}
	}
	var again bytes.Buffer
	e := archive.Export{Source: live(b), Subjects: b.Log().Subjects(), Until: sum.Size}
	if _, err := e.Write(t.Context(), &again); err != nil || !bytes.Equal(again.Bytes(), s.File(t)) {
		t.Errorf("it is exported as another file: %v", err)
	}
}

func follow(t *testing.T, log eventlog.Log, n int) []eventlog.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := log.Follow(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []eventlog.Record
	for len(all) < n {
		records, err := c.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	return all
}

// Behind what was imported, only the server says when something was stored.
func TestNobodyBackdatesWhatIsAppendedToAnImportedLog(t *testing.T) {
	s := tamper.Tell(t)
	b := bus(t, server(t), eventlog.Options{})
	if _, err := (archive.Import{File: spool(t, s.File(t), archive.Options{}), Bus: b}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Minute)
	end := uint64(len(s.Log))
	appendRaw(t, b, map[string][]string{"Fleetfold-Time": {"2001-01-01T00:00:00Z"}})
	for _, r := range read(t, live(b), end) {
		if r.Time.Before(before) || len(r.Message.Header["Fleetfold-Time"]) != 1 {
			t.Errorf("read as of %s with %v", r.Time, r.Message.Header)
		}
	}
	if records := follow(t, b.Log(), len(s.Log)+1); records[end].Time.Before(before) {
		t.Errorf("followed as of %s", records[end].Time)
	}
}

// A log that grew by itself has no other times than the server's.
func TestNobodyBackdatesWhatIsAppendedToALogThatGrew(t *testing.T) {
	srv := server(t)
	b := bus(t, srv, eventlog.Options{})
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Minute)
	appendRaw(t, b, map[string][]string{"Fleetfold-Time": {"2001-01-01T00:00:00Z"}, "Fleetfold-Headers": {"packed:e30="}})
	for who, o := range map[string]eventlog.Options{"a service": {}, "a person": {NoConsumers: true}} {
		b := bus(t, srv, o)
		for _, r := range append(read(t, live(b), 0), follow(t, b.Log(), 1)...) {
			if r.Time.Before(before) || len(r.Message.Header) != 2 {
				t.Errorf("%s reads it as of %s with %v", who, r.Time, r.Message.Header)
			}
		}
	}
}

// appendRaw appends a message that is no event.
func appendRaw(t *testing.T, b *eventlog.Bus, header map[string][]string) {
	t.Helper()
	if err := eventlog.AppendRaw(t.Context(), b, events.Message{Subject: "fleet.events.x", Header: header}); err != nil {
		t.Fatal(err)
	}
}

func TestAnInterruptedImportIsGoneOnWith(t *testing.T) {
	s := odd(t)
	for _, at := range []int{0, 1, 17, len(s.Log) - 1} {
		b := bus(t, server(t), eventlog.Options{})
		f := spool(t, s.File(t), archive.Options{})
		sum, err := f.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun, err := b.BeginImport(t.Context(), sum.Size, sum.Root.String())
		if err == nil {
			err = begun.Append(t.Context(), s.Log[:at])
		}
		if err != nil {
			t.Fatal(err)
		}
		var importing *eventlog.ImportingError
		for who, err := range map[string]error{"a planner": b.EnsureStreams(t.Context()), "an executor": b.AwaitStreams(t.Context())} {
			if !errors.As(err, &importing) || importing.At != uint64(at) || importing.Through != sum.Size {
				t.Errorf("%s: %v", who, err)
			}
		}
		if at > 0 {
			other := tamper.Tell(t)
			_, err := (archive.Import{File: spool(t, other.File(t), archive.Options{}), Bus: b}).Run(t.Context())
			if !errors.Is(err, eventlog.ErrNotEmpty) || !strings.Contains(err.Error(), "another export") {
				t.Errorf("another file: %v", err)
			}
		}
		if _, err := (archive.Import{File: f, Bus: b}).Run(t.Context()); err != nil {
			t.Errorf("interrupted at %d: %v", at, err)
		}
		if got := read(t, live(b), 0); !slices.EqualFunc(got, s.Log, same) {
			t.Errorf("interrupted at %d: %v", at, got)
		}
	}
}

func TestAnImportNeedsAnEmptySystem(t *testing.T) {
	s := tamper.Tell(t)
	run := func(b *eventlog.Bus) error {
		_, err := archive.Import{File: spool(t, s.File(t), archive.Options{}), Bus: b}.Run(t.Context())
		return err
	}
	refused := func(what string, err error, says string) {
		t.Helper()
		if !errors.Is(err, eventlog.ErrNotEmpty) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Run("streams that nobody used", func(t *testing.T) {
		b := bus(t, server(t), eventlog.Options{})
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := run(b); err != nil {
			t.Error(err)
		}
		refused("twice", run(b), "imported into it already")
	})
	t.Run("a history", func(t *testing.T) {
		b := bus(t, server(t), eventlog.Options{})
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		appendRaw(t, b, nil)
		refused("one record", run(b), "it ends at sequence 1")
		if last, err := b.Log().Last(t.Context()); err != nil || last != 1 {
			t.Errorf("it ends at %d, %v", last, err)
		}
	})
	t.Run("somebody follows", func(t *testing.T) {
		b := bus(t, server(t), eventlog.Options{})
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, err := b.Log().Follow(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		refused("a follower", run(b), "stop planners and executors")
	})
	t.Run("somebody appends meanwhile", func(t *testing.T) {
		b := bus(t, server(t), eventlog.Options{})
		f := spool(t, s.File(t), archive.Options{})
		sum, err := f.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun, err := b.BeginImport(t.Context(), sum.Size, sum.Root.String())
		if err != nil {
			t.Fatal(err)
		}
		appendRaw(t, b, nil)
		refused("a record", begun.Append(t.Context(), s.Log), "somebody else appends")
		refused("the next try", run(b), "not those of the export")
	})
}

func TestWhatCannotBeImported(t *testing.T) {
	s := tamper.Tell(t)
	tampered, _, _ := tamper.Ways[0].Apply(t, s)
	for what, c := range map[string]struct {
		file   []byte
		prefix string
		says   string
	}{
		"a part":         {tamper.Export(t, s, 3), "", "file is a part"},
		"nothing":        {(&tamper.Story{}).File(t), "", "no record"},
		"another prefix": {s.File(t), "other", `of prefix "fleet", not of "other"`},
		"a changed file": {tampered, "", "line 5, sequence 3"},
	} {
		t.Run(what, func(t *testing.T) {
			b := bus(t, server(t), eventlog.Options{Prefix: c.prefix})
			if _, err := (archive.Import{File: spool(t, c.file, archive.Options{}), Bus: b}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if err := b.EnsureStreams(t.Context()); err != nil {
				t.Errorf("it changed something: %v", err)
			}
		})
	}
}
