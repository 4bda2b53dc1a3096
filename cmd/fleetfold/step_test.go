package main

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const keptHistory = "../../pkg/audit/testdata/rule-1.jsonl"

func keptFrames(t *testing.T, change audit.Change) func() iter.Seq2[frame, error] {
	t.Helper()
	file, err := archive.Open(keptHistory, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return func() iter.Seq2[frame, error] { return frames(t.Context(), file, change) }
}

// stepped presses keys and returns the page that each of them leads to, the first
// one before any.
func stepped(t *testing.T, begin func() iter.Seq2[frame, error], keys string) []string {
	t.Helper()
	s := newStepper(begin)
	defer s.close()
	pressed := make(chan byte, len(keys))
	for _, key := range []byte(keys) {
		pressed <- key
	}
	close(pressed)
	var out bytes.Buffer
	if err := s.run(t.Context(), pressed, &out, func() (int, int) { return 120, 40 }); err != nil {
		t.Fatal(err)
	}
	return strings.Split(out.String(), clearPage)[1:]
}

func TestStepsGoToAndFro(t *testing.T) {
	pages := stepped(t, keptFrames(t, audit.Change{}), "nnpg60\rpppg99999\rnq")
	heads := make([]string, len(pages))
	for i, page := range pages {
		heads[i], _, _ = strings.Cut(page, ":")
	}
	want := []string{
		"decision 1", "decision 2", "decision 3", "decision 2", // n n p
		"decision 2", "decision 2", "decision 2", "decision 3", // g 6 0 enter
	}
	for i, head := range want {
		if heads[i] != head {
			t.Fatalf("page %d is of %s, want %s: all are %v", i, heads[i], head, heads)
		}
	}
	if !strings.Contains(pages[5], "go to sequence: 6") || !strings.Contains(pages[6], "go to sequence: 60") {
		t.Errorf("what is typed is not shown: %q", pages[5])
	}
	for i, head := range []string{"decision 2", "decision 1", "decision 1"} { // p p p
		if heads[8+i] != head {
			t.Errorf("page %d is of %s, want %s", 8+i, heads[8+i], head)
		}
	}
	if !strings.Contains(pages[10], "this is the first decision") {
		t.Errorf("before the first: %q", pages[10])
	}
	last := pages[len(pages)-1]
	if !strings.Contains(last, "this is the last decision") || strings.HasPrefix(last, "decision 1:") {
		t.Errorf("behind the last: %q", last)
	}
	if !strings.Contains(pages[0], "EnrollNode n1") || !strings.Contains(pages[0], "inventory.applied") {
		t.Errorf("the first page: %q", pages[0])
	}
}

func TestStepsShowWhatAChangeWouldDo(t *testing.T) {
	one := 1
	pages := stepped(t, keptFrames(t, audit.Change{Thresholds: audit.Thresholds{MaxInFlight: &one}}), "q")
	if !strings.Contains(pages[0], "with the change") || !strings.Contains(pages[0], "  not   EnrollNode n2") {
		t.Errorf("%q", pages[0])
	}
}

// many are frames with nothing in them, at every tenth sequence.
func many(n int, begun *int) func() iter.Seq2[frame, error] {
	return func() iter.Seq2[frame, error] {
		*begun++
		return func(yield func(frame, error) bool) {
			for i := 1; i <= n; i++ {
				d := audit.Decision{Sequence: uint64(10 * i), PlanDecided: &events.PlanDecided{Plan: "p"}}
				if !yield(frame{Number: i, Point: audit.Point{Decision: d}}, nil) {
					return
				}
			}
		}
	}
}

// What is no longer kept is made anew, and everything is found wherever one is.
func TestEachFrameIsFoundFromEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, begun := rapid.IntRange(1, 3*framesKept).Draw(t, "frames"), 0
		s := newStepper(many(n, &begun))
		defer s.close()
		for range 8 {
			sequence := rapid.IntRange(0, 10*n+20).Draw(t, "sequence")
			if err := s.showFrom(uint64(sequence)); err != nil {
				t.Fatal(err)
			}
			if want := min(max((sequence+9)/10, 1), n); s.at != want {
				t.Fatalf("sequence %d of %d frames leads to %d, want %d", sequence, n, s.at, want)
			}
			if len(s.kept) > framesKept {
				t.Fatalf("%d frames are kept", len(s.kept))
			}
		}
	})
}

func TestAHistoryWithoutDecisionsSaysSo(t *testing.T) {
	begun := 0
	for _, page := range stepped(t, many(0, &begun), "npg5\rq") {
		if !strings.HasPrefix(page, "Nothing was ever decided") {
			t.Errorf("%q", page)
		}
	}
}

func TestAnErrorEndsStepping(t *testing.T) {
	broken := errors.New("the file ends here")
	s := newStepper(func() iter.Seq2[frame, error] {
		return func(yield func(frame, error) bool) { yield(frame{}, broken) }
	})
	defer s.close()
	if err := s.run(t.Context(), nil, new(bytes.Buffer), func() (int, int) { return 80, 24 }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Whatever is in a frame, its page fits the terminal and moves no cursor.
func TestAPageFitsItsTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Just("\x1b[2J\r\n\u009b"), rapid.Just(strings.Repeat("long ", 90)))
		f := frame{Number: 1, Since: rapid.IntRange(0, 99).Draw(t, "since"), Lines: rapid.SliceOfN(text, 0, linesKept).Draw(t, "lines")}
		d := &events.PlanDecided{Plan: "p", DecidedAt: time.Unix(0, 0), Settled: rapid.Bool().Draw(t, "settled"), Waiting: text.Draw(t, "waiting")}
		for range rapid.IntRange(0, 30).Draw(t, "actions") {
			d.Actions = append(d.Actions, events.ActionRequested{Type: fleet.EnrollNode, ID: fleet.NodeID(text.Draw(t, "id"))})
		}
		for range rapid.IntRange(0, 30).Draw(t, "held") {
			d.Held = append(d.Held, fleet.Held{Reason: "paused", Detail: text.Draw(t, "detail")})
		}
		d.HeldTotal = len(d.Held)
		f.Point = audit.Point{Decision: audit.Decision{Sequence: 9, PlanDecided: d}}
		width, height := rapid.IntRange(1, 200).Draw(t, "width"), rapid.IntRange(6, 60).Draw(t, "height")
		lines := strings.Split(stepPage(f, "status", width, height), "\r\n")
		if len(lines) > height {
			t.Fatalf("%d lines on a terminal of %d", len(lines), height)
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > width || strings.ContainsAny(line, "\x1b\r\n\u009b") {
				t.Fatalf("line %q on a terminal of %d columns", line, width)
			}
		}
	})
}
