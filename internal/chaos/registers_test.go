//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	registerClients = 4
	// registersAtATime are contended for by all clients.
	registersAtATime = 3
	// registerRound is how long they are written to, before fresh ones are: the
	// search for a linear order grows with the history of what belongs together.
	registerRound = 20 * time.Second
	// registerPatience is after which the outcome of an append counts as unknown.
	registerPatience = 3 * time.Second
)

// register is a subject of the log as a register whose value is the sequence of
// the last event there: an append that is fenced on the subject is a
// compare-and-set, and a batch is one of several registers at once.
type register struct {
	Round int `json:"round"`
	Place int `json:"place"` // below registersAtATime
}

// node is one that never was: its loss changes nothing.
func (r register) node() fleet.NodeID {
	return fleet.NodeID(fmt.Sprintf("register-%d-%d", r.Round, r.Place))
}

// outcome is what a client learned of its append.
type outcome string

const (
	stored   outcome = "stored"
	conflict outcome = "conflict"
	unknown  outcome = "unknown" // it may have been stored, or may be yet
)

// try is one entry of an attempt.
type try struct {
	Register register `json:"register"`
	Fence    uint64   `json:"fence"`
	ID       string   `json:"id"`
}

// attempt is one append of a client, as the client saw it.
type attempt struct {
	Client int           `json:"client"`
	Call   time.Duration `json:"call"` // since the clients began
	Return time.Duration `json:"return"`
	Tries  []try         `json:"tries"`
	// Outcome, and the sequence of the last entry where it is stored.
	Outcome  outcome `json:"outcome"`
	Sequence uint64  `json:"seq,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// sequence of entry i.
func (a *attempt) sequence(i int) uint64 { return a.Sequence - uint64(len(a.Tries)-1-i) }

// registers are the clients of one run.
type registers struct {
	f     *chaosFleet
	began time.Time
	stop  context.CancelFunc
	all   sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

func (f *chaosFleet) writeRegisters() *registers {
	ctx, stop := context.WithCancel(f.t.Context())
	r := &registers{f: f, began: time.Now(), stop: stop}
	for id := range registerClients {
		c := &registerClient{
			registers: r, id: id, log: f.connect().Log(), random: rand.New(rand.NewPCG(f.plan.seed, uint64(id)+2)),
			older: make(map[register]uint64),
		}
		r.all.Go(func() { c.run(ctx) })
	}
	return r
}

// end waits for the clients and returns what they did, and keeps it as a file.
func (r *registers) end() []attempt {
	r.stop()
	r.all.Wait()
	var text strings.Builder
	for _, a := range r.attempts {
		line, err := json.Marshal(a)
		if err != nil {
			r.f.t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", line)
	}
	if err := os.WriteFile(r.f.file("registers.jsonl"), []byte(text.String()), 0o600); err != nil {
		r.f.t.Error(err)
	}
	return r.attempts
}

// registerClient does one append after the other.
type registerClient struct {
	registers *registers
	id, count int
	log       eventlog.Log
	random    *rand.Rand
	older     map[register]uint64 // what a register was before it was what it is
}

func (c *registerClient) run(ctx context.Context) {
	for {
		pause := time.NewTimer(between(c.random, time.Millisecond, 40*time.Millisecond))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		a, entries, err := c.next(ctx)
		if err != nil {
			continue // nobody answers
		}
		c.append(ctx, &a, entries)
		c.registers.mu.Lock()
		c.registers.attempts = append(c.registers.attempts, a)
		c.registers.mu.Unlock()
	}
}

// next reads some registers and prepares to set them.
func (c *registerClient) next(ctx context.Context) (attempt, []eventlog.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, registerPatience)
	defer cancel()
	a := attempt{Client: c.id}
	var entries []eventlog.Entry
	places := c.random.Perm(registersAtATime)[:1]
	if c.random.IntN(3) == 0 {
		places = c.random.Perm(registersAtATime)[:2+c.random.IntN(registersAtATime-1)]
	}
	for _, place := range places {
		c.count++
		e := &events.Event{
			ID: events.NewID("register", fmt.Sprint(c.id), fmt.Sprint(c.count)), Source: events.SourceOperator, Time: time.Now(),
			Type: events.TypeNodeLost, Data: &events.NodeLost{Epoch: 1, Reason: "no_lease"},
		}
		r := register{Round: int(time.Since(c.registers.began) / registerRound), Place: place}
		e.Node = r.node()
		fence, err := c.read(ctx, r, e)
		if err != nil {
			return attempt{}, nil, err
		}
		a.Tries = append(a.Tries, try{r, fence, e.ID})
		entries = append(entries, eventlog.Entry{Event: e, Fence: eventlog.LastOnSubject(fence)})
	}
	for _, t := range a.Tries { // a round may have ended in between
		if t.Register.Round != a.Tries[0].Register.Round {
			return attempt{}, nil, errors.New("registers of two rounds")
		}
	}
	return a, entries, nil
}

// read returns what the register is, and now and then what it was before: that
// is sure to be refused.
func (c *registerClient) read(ctx context.Context, r register, e *events.Event) (uint64, error) {
	subject, err := c.log.Subjects().Of(e)
	if err != nil {
		return 0, err
	}
	now, err := c.log.LastOn(ctx, subject)
	if err != nil {
		return 0, err
	}
	before, known := c.older[r]
	c.older[r] = now
	if known && c.random.IntN(10) == 0 {
		return before, nil
	}
	return now, nil
}

func (c *registerClient) append(ctx context.Context, a *attempt, entries []eventlog.Entry) {
	ctx, cancel := context.WithTimeout(ctx, registerPatience)
	defer cancel()
	a.Call = time.Since(c.registers.began)
	last, err := c.log.Append(ctx, entries...)
	a.Return = time.Since(c.registers.began)
	switch {
	case err == nil:
		a.Outcome, a.Sequence = stored, last
	case errors.Is(err, eventlog.ErrConflict):
		a.Outcome, a.Error = conflict, err.Error()
	default:
		a.Outcome, a.Error = unknown, err.Error()
	}
}

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

type pause struct{ from, length time.Duration }

// longestPause is the longest time in which nothing was acknowledged.
func longestPause(attempts []attempt) (longest pause) {
	var ends []time.Duration
	for _, a := range attempts {
		if a.Outcome == stored {
			ends = append(ends, a.Return)
		}
	}
	slices.Sort(ends)
	for i := 1; i < len(ends); i++ {
		if d := ends[i] - ends[i-1]; d > longest.length {
			longest = pause{ends[i-1], d}
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
