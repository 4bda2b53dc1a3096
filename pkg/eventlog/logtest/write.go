package logtest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func (s *suite) empty() {
	s.wantLast(0)
	if records := s.read(0, 10); len(records) != 0 {
		s.Fatalf("read %d records", len(records))
	}
	if last, err := s.log.LastOn(s.ctx, s.log.Subjects().Plan()); last != 0 || err != nil {
		s.Fatalf("last on a subject: %d, %v", last, err)
	}
}

func (s *suite) order() {
	if last := s.append(entry("a", "1")); last != 1 {
		s.Fatalf("first append returned %d", last)
	}
	if last := s.append(entries(10)...); last != 11 {
		s.Fatalf("append of ten returned %d", last)
	}
	if last := s.append(entry("a", "2")); last != 12 {
		s.Fatalf("third append returned %d", last)
	}
	records := s.read(0, 100)
	if len(records) != 12 {
		s.Fatalf("read %d records", len(records))
	}
	s.contiguous(records, 0)
	for i, r := range records[1:11] {
		if want := fleet.NodeID(fmt.Sprintf("n%d", i+1)); r.Event.Node != want {
			s.Errorf("record %d is of %s, want %s", r.Sequence, r.Event.Node, want)
		}
	}
}

func (s *suite) atomic() {
	s.append(entry("a", "1"))
	batch := entries(5)
	batch[4] = fenced(entry("a", "2"), eventlog.LastOnSubject(0)) // "a" has one
	s.conflict(batch...)
	batch[4] = fenced(entry("a", "2"), eventlog.LastOnSubject(1))
	batch[2] = fenced(batch[2], eventlog.LastOnSubject(0))
	if last := s.append(batch...); last != 6 {
		s.Fatalf("append returned %d, want 6", last)
	}
	s.contiguous(s.read(0, 10), 0)
}

func (s *suite) fenceSubject() {
	s.append(entry("a", "1"))
	s.append(entry("b", "1"))
	s.append(entry("a", "2"))
	s.conflict(fenced(entry("a", "3"), eventlog.LastOnSubject(1)))
	s.conflict(fenced(entry("a", "3"), eventlog.LastOnSubject(2)))
	s.conflict(fenced(entry("a", "3"), eventlog.LastOnSubject(9)))
	s.append(entry("b", "2")) // another subject does not matter
	s.append(fenced(entry("a", "3"), eventlog.LastOnSubject(3)))
	s.conflict(fenced(entry("a", "4"), eventlog.LastOnSubject(3)))
	// The first of several, as a plan is fenced.
	s.conflict(fenced(entry("a", "4"), eventlog.LastOnSubject(3)), entry("c", "1"))
	s.append(fenced(entry("a", "4"), eventlog.LastOnSubject(5)), entry("a", "5"), entry("c", "1"))
	s.wantLast(8)
}

func (s *suite) fenceSubjectEmpty() {
	s.append(entry("b", "1"))
	s.append(fenced(entry("a", "1"), eventlog.LastOnSubject(0)))
	s.conflict(fenced(entry("a", "2"), eventlog.LastOnSubject(0)))
	s.wantLast(2)
}

func (s *suite) fenceLog() {
	s.append(entry("a", "1"))
	s.append(entry("b", "1"))
	s.conflict(fenced(entry("a", "2"), eventlog.LastInLog(1)))
	s.conflict(fenced(entry("a", "2"), eventlog.LastInLog(3)))
	s.append(fenced(entry("a", "2"), eventlog.LastInLog(2)))
	s.conflict(fenced(entry("c", "1"), eventlog.LastInLog(2)), entry("d", "1"))
	s.append(fenced(entry("c", "1"), eventlog.LastInLog(3)), fenced(entry("d", "1"), eventlog.LastOnSubject(0)))
	s.wantLast(5)
}

func (s *suite) fenceLogEmpty() {
	s.append(fenced(entry("a", "1"), eventlog.LastInLog(0)))
	s.conflict(fenced(entry("b", "1"), eventlog.LastInLog(0)))
	s.wantLast(1)
}

func (s *suite) refused() {
	s.append(entry("a", "1"))
	bad := Appeared("b", "1")
	bad.Source = ""
	batches := map[string][]eventlog.Entry{
		"no entries":                 {},
		"an event that does not fit": {entry("b", "1"), {Event: bad}},
		"a late fence on the log":    {entry("b", "1"), fenced(entry("c", "1"), eventlog.LastInLog(1))},
		"a fence on what the batch itself writes": {
			fenced(entry("a", "2"), eventlog.LastOnSubject(1)), fenced(entry("a", "3"), eventlog.LastOnSubject(1)),
		},
	}
	for name, batch := range batches {
		if last, err := s.log.Append(s.ctx, batch...); err == nil || errors.Is(err, eventlog.ErrConflict) || last != 0 {
			s.Errorf("%s: %d, %v; want another error than a conflict", name, last, err)
		}
	}
	s.wantLast(1)
}

func (s *suite) tooLarge() {
	if _, err := s.log.Append(s.ctx, entries(eventlog.MaxBatch+1)...); !errors.Is(err, eventlog.ErrTooLarge) {
		s.Fatalf("append: %v, want ErrTooLarge", err)
	}
	s.wantLast(0)
	if last := s.append(entries(eventlog.MaxBatch)...); last != eventlog.MaxBatch {
		s.Fatalf("append returned %d", last)
	}
}

// race starts writers that all saw the same end of a subject.
func (s *suite) race() {
	const writers, rounds = 8, 10
	for round := range uint64(rounds) {
		won := make([]bool, writers)
		seen := 2*round - min(round, 1) // each round adds "race" and the winner
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				first := fenced(entry("race", fmt.Sprint(round, w)), eventlog.LastOnSubject(seen))
				_, err := s.log.Append(s.ctx, first, entry(fleet.NodeID(fmt.Sprint("w", w)), fmt.Sprint(round)))
				switch {
				case err == nil:
					won[w] = true
				case !errors.Is(err, eventlog.ErrConflict):
					s.Errorf("writer %d: %v", w, err)
				}
			})
		}
		wg.Wait()
		s.oneWinner(won, round)
	}
}

// oneWinner checks that the round added one winner's two records.
func (s *suite) oneWinner(won []bool, round uint64) {
	s.Helper()
	records := s.read(2*round, 10)
	if len(records) != 2 {
		s.Fatalf("round %d: %d records, want 2", round, len(records))
	}
	s.contiguous(records, 2*round)
	winners := 0
	for w, ok := range won {
		if !ok {
			continue
		}
		winners++
		if want := fleet.NodeID(fmt.Sprint("w", w)); records[1].Event.Node != want {
			s.Fatalf("round %d: the batch of %s was stored, writer %s won", round, records[1].Event.Node, want)
		}
	}
	if winners != 1 {
		s.Fatalf("round %d: %d winners", round, winners)
	}
}

// retry lets writers count up together: read the end, write the next number.
func (s *suite) retry() {
	const writers, each = 4, 10
	subject := s.log.Subjects().Node("count")
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				last, err := s.log.LastOn(s.ctx, subject)
				if err != nil {
					s.Errorf("last on: %v", err)
					return
				}
				_, err = s.log.Append(s.ctx, fenced(entry("count", fmt.Sprint(w, "/", done)), eventlog.LastOnSubject(last)))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, eventlog.ErrConflict):
					s.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.wantLast(writers * each)
}
