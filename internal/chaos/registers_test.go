//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
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
			registers: r, id: id, log: f.connect().Log(), random: rand.New(rand.NewPCG(f.trial.seed, uint64(id)+2)),
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
