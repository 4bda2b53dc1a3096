//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// judgeRegisters holds what the clients learned against the log and against the
// rules of a compare-and-set.
func (f *chaosFleet) judgeRegisters(attempts []attempt, records []eventlog.Record) {
	f.t.Helper()
	for _, problem := range contradictions(attempts, records) {
		f.t.Error(problem)
	}
	for _, problem := range linear(attempts, finals(records), f.file) {
		f.t.Error(problem)
	}
	counts, pause := make(map[outcome]int), longestPause(attempts)
	for _, a := range attempts {
		counts[a.Outcome]++
	}
	if counts[stored] == 0 || counts[conflict] == 0 {
		f.t.Errorf("%v of the appends to registers: the run proves nothing of them", counts)
	}
	f.t.Logf("registers: %d appends stored, %d conflicts, %d unknown; longest time without an append %s, from %s on",
		counts[stored], counts[conflict], counts[unknown], pause.length.Round(time.Millisecond), pause.from.Round(time.Millisecond))
}

type lull struct{ from, length time.Duration }

// longestPause is the longest time in which nothing was acknowledged.
func longestPause(attempts []attempt) (longest lull) {
	var ends []time.Duration
	for _, a := range attempts {
		if a.Outcome == stored {
			ends = append(ends, a.Return)
		}
	}
	slices.Sort(ends)
	for i := 1; i < len(ends); i++ {
		if d := ends[i] - ends[i-1]; d > longest.length {
			longest = lull{ends[i-1], d}
		}
	}
	return longest
}

// contradictions are between what clients learned and what is on the log: what
// was acknowledged is there at its place and under its fence, what was refused is
// not, a batch is there as a whole, and nothing is there twice.
func contradictions(attempts []attempt, records []eventlog.Record) (problems []string) {
	at := make(map[string][]uint64)
	for _, r := range records {
		if r.Event != nil {
			at[r.Event.ID] = append(at[r.Event.ID], r.Sequence)
		}
	}
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var promised []noted
	for _, a := range attempts {
		found := 0
		for i, t := range a.Tries {
			places := at[t.ID]
			found += min(len(places), 1)
			switch {
			case len(places) > 1:
				complain("event %s is on the log %d times, at %v", t.ID, len(places), places)
			case len(places) == 1 && a.Outcome == conflict:
				complain("event %s was refused, and is at sequence %d", t.ID, places[0])
			case a.Outcome == stored:
				promised = append(promised, noted{a.sequence(i), t.ID, t.Fence})
			case len(places) == 1: // it came through after all, and must keep its word
				promised = append(promised, noted{places[0], t.ID, t.Fence})
			}
			if first := at[a.Tries[0].ID]; i > 0 && len(places) == 1 && len(first) == 1 && places[0] != first[0]+uint64(i) {
				complain("entry %d of a batch is at sequence %d, and its first at %d", i+1, places[0], first[0])
			}
		}
		if found != 0 && found != len(a.Tries) {
			complain("%d of %d entries of the batch that begins with %s are on the log", found, len(a.Tries), a.Tries[0].ID)
		}
	}
	return append(problems, lost(promised, records)...)
}

// finals is what each register is at the end.
func finals(records []eventlog.Record) map[register]uint64 {
	last := make(map[register]uint64)
	for _, r := range records {
		var of register
		if r.Event == nil {
			continue
		}
		if n, err := fmt.Sscanf(string(r.Event.Node), "register-%d-%d", &of.Round, &of.Place); err == nil && n == 2 {
			last[of] = r.Sequence
		}
	}
	return last
}

func TestWhatClientsLearnedIsHeldAgainstTheLog(t *testing.T) {
	one, two := register{0, 0}, register{0, 1}
	log := []eventlog.Record{onLog(1, one, "a"), onLog(2, one, "b"), onLog(3, two, "c"), onLog(4, one, "d")}
	batch := []try{{one, 1, "b"}, {two, 0, "c"}}
	single := func(fence uint64, id string) []try { return []try{{one, fence, id}} }
	for name, tt := range map[string]struct {
		attempts []attempt
		log      []eventlog.Record
		want     string // of the one problem; empty for none
	}{
		"all is well": {log: log, attempts: []attempt{
			{Tries: single(0, "a"), Outcome: stored, Sequence: 1}, {Tries: batch, Outcome: stored, Sequence: 3},
			{Tries: single(1, "x"), Outcome: conflict}, {Tries: single(2, "d"), Outcome: unknown}, {Tries: single(2, "y"), Outcome: unknown},
		}},
		"a lost append":         {[]attempt{{Tries: single(4, "e"), Outcome: stored, Sequence: 5}}, log, "the log ends at 4"},
		"another one's place":   {[]attempt{{Tries: single(2, "e"), Outcome: stored, Sequence: 4}}, log, "is another one"},
		"a double one":          {[]attempt{{Tries: single(0, "a"), Outcome: unknown}}, append(slices.Clone(log), onLog(5, two, "a")), "2 times"},
		"a refused one":         {[]attempt{{Tries: single(2, "d"), Outcome: conflict}}, log, "was refused"},
		"a lost update":         {[]attempt{{Tries: single(1, "d"), Outcome: stored, Sequence: 4}}, log, "fenced on 1, and follows 2"},
		"half a batch":          {[]attempt{{Tries: []try{{two, 3, "x"}, {one, 2, "d"}}, Outcome: unknown}}, log, "1 of 2 entries"},
		"a batch that is apart": {[]attempt{{Tries: []try{{one, 1, "b"}, {one, 2, "d"}}, Outcome: unknown}}, log, "at sequence 4, and its first at 2"},
	} {
		problems := contradictions(tt.attempts, tt.log)
		if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], tt.want)) {
			t.Errorf("%s: found %q, want %q", name, problems, tt.want)
		}
	}
}

func onLog(seq uint64, r register, id string) eventlog.Record {
	return eventlog.Record{
		Sequence: seq, Message: events.Message{Subject: string(r.node())}, Event: &events.Event{ID: id, Node: r.node()},
	}
}
