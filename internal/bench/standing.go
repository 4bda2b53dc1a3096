package bench

import (
	"context"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// standingSizes are the fleets whose fold is made at once, and then asked. The
// last takes its time, and is left out of quick runs.
var standingSizes = []int{1_000, 10_000, 100_000, 1_000_000}

func standingBenchmarks() (all []Benchmark) {
	for _, n := range standingSizes {
		all = append(all, Benchmark{Slow: n >= 1_000_000, Rows: []Row{{
			Name: fmt.Sprint("engine/incremental/", n), Unit: "ns", Bound: atMost(5_000, 1_000),
			Help: fmt.Sprintf("a planner's whole decision after one node of %d was lost, or came back", n),
		}}, run: func(ctx context.Context, r *run) error { return r.incremental(ctx, n) }})
	}
	for _, n := range standingSizes {
		all = append(all, Benchmark{Slow: n >= 1_000_000, Rows: []Row{
			{
				Name: fmt.Sprint("memory/", n), Unit: "bytes", Bound: atMillion(n, atMost(400, 200)),
				Help: fmt.Sprintf("what the fold of %d nodes that are present and sign takes of memory, by node and without the certificates", n),
			},
			{
				Name: fmt.Sprint("memory/", n, "/certified"), Unit: "bytes",
				Help: fmt.Sprintf("the same with the text of each node's certificate, of %d bytes", certificateSize),
			},
		}, run: func(ctx context.Context, r *run) error { return r.memory(ctx, n) }})
	}
	for _, n := range standingSizes {
		all = append(all, restartBenchmark(n))
	}
	return all
}

// enrolment is all that a log holds of a node that has come to be present and to
// sign, on its way there: two actions with their outcomes, and three facts.
func (l *life) enrolment() []*events.Event {
	appeared := l.appeared()
	issued := l.issue()
	step := func(kind fleet.ActionType) (*events.Event, *events.Event) {
		id := fleet.ActionID(l.word(string(kind))[:20])
		asked := l.event(events.SourcePlanner, &events.ActionRequested{Type: kind, ID: l.id, Action: id, Attempt: 1, Epoch: 1, Generation: 1}, events.TypeOfAction(kind))
		done := l.event(events.SourceExecutor, &events.ActionSucceeded{Type: kind, ID: l.id, Action: id, DurationMS: 7}, events.TypeActionSucceeded)
		return asked, done
	}
	enroll, enrolled := step(fleet.EnrollNode)
	issue, done := step(fleet.IssueCredential)
	return []*events.Event{enroll, appeared, enrolled, issue, issued, l.prove(), done}
}

// enrolments are those of n nodes, one node after the other, made while they are
// asked for: those of a million at once would be larger than their fold.
func enrolments(n int, certified bool) iter.Seq[*events.Event] {
	at := time.Now().UTC().Truncate(time.Millisecond)
	return func(yield func(*events.Event) bool) {
		for i := range n {
			for _, e := range newLife(i, at).enrolment() {
				if d, ok := e.Data.(*events.CredentialIssued); ok {
					d.CertificatePEM = certificateOf(i, certified)
				}
				if !yield(e) {
					return
				}
			}
		}
	}
}

// certificateOf is a text of its own for each node, of the size of a real one, and
// like that one hardly to be compressed.
func certificateOf(i int, certified bool) string {
	if !certified {
		return ""
	}
	random := rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), uint64(i))))
	der := make([]byte, derSize)
	_, _ = random.Read(der) // never fails
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// derSize makes certificateSize of PEM.
const derSize = 438

// standing is the fold of a fleet that was enrolled under the inventory of that
// digest, and the last event of its history.
func standing(ctx context.Context, n int, digest string, certified bool) (s *projection.State, last *events.Event, err error) {
	s = projection.New()
	apply := func(e *events.Event) error {
		last = e
		_, err := s.Apply(s.Sequence()+1, e.Time.Add(time.Duration(s.Sequence())*time.Millisecond), e)
		return err
	}
	if err := apply(inventoryApplied(digest)); err != nil {
		return nil, nil, err
	}
	for e := range enrolments(n, certified) {
		if err := apply(e); err != nil {
			return nil, nil, err
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
	if _, present, signing := s.Counts(); present != n || signing != n {
		return nil, nil, fmt.Errorf("of %d nodes, %d are present and %d sign", n, present, signing)
	}
	return s, last, nil
}

// anyDigest is for folds whose inventory nobody reads.
const anyDigest = "sha256:bench"

func (r *run) incremental(ctx context.Context, n int) error {
	state, _, err := standing(ctx, n, anyDigest, false)
	if err != nil {
		return err
	}
	inventory, _ := converged(n)
	inventory.RequireSig = false
	desired := decide.NewDesired(inventory)
	given := decide.Given{Settled: true, Now: time.Now(), Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
	var decider decide.Incremental
	if d := decider.Plan(state, desired, given); !d.Plan.Empty() {
		return fmt.Errorf("a converged fleet needs %d actions", len(d.Plan.Actions))
	}
	c := changer{state: state, nodes: n, step: coprime(n)}
	best := math.Inf(1)
	for range 5 {
		took, err := c.decide(ctx, r.pick(20_000, 4_000, 100), func() decide.Decided { return decider.Plan(state, desired, given) })
		if err != nil {
			return err
		}
		best = min(best, took)
	}
	r.add(fmt.Sprint("engine/incremental/", n), best, c.turn)
	return nil
}

// changer has one node after the other be lost and come back.
type changer struct {
	state             *projection.State
	nodes, step, turn int
}

// decide decides after each of so many changes, and returns the nanoseconds of a
// decision alone.
func (c *changer) decide(ctx context.Context, changes int, again func() decide.Decided) (float64, error) {
	var took time.Duration
	for range changes {
		lost := c.turn%2 == 0
		if err := flip(c.state, nodeID(c.turn/2*c.step%c.nodes), lost); err != nil {
			return 0, err
		}
		began := time.Now()
		d := again()
		took += time.Since(began)
		if d.Plan.Empty() == lost || len(d.Plan.Actions) > 1 {
			return 0, fmt.Errorf("after one node changed, %d actions are needed", len(d.Plan.Actions))
		}
		c.turn++
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return float64(took) / float64(changes), nil
}

// flip has a node be lost, or come back.
func flip(s *projection.State, id fleet.NodeID, lost bool) error {
	l := &life{id: id, key: fingerprint(string(id)), at: time.Now()}
	e := l.appeared()
	if lost {
		e = l.lost()
	}
	change, err := s.Apply(s.Sequence()+1, l.at, e)
	if err == nil && change.Empty() {
		err = fmt.Errorf("node %s is as it was after %s", id, e.Type)
	}
	return err
}

func (r *run) memory(ctx context.Context, n int) error {
	for _, certified := range []bool{false, true} {
		before := inUse()
		state, _, err := standing(ctx, n, anyDigest, certified)
		if err != nil {
			return err
		}
		bytes := float64(inUse()-before) / float64(n)
		runtime.KeepAlive(state)
		name := fmt.Sprint("memory/", n)
		if certified {
			name += "/certified"
		}
		r.add(name, bytes, n)
	}
	return nil
}

// inUse is what the process holds of memory that something leads to. What only a
// finalizer leads to goes with the second collection.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// atMillion is the bound of a fleet of a million, and none of a smaller one: what
// is the same for every fleet weighs more there.
func atMillion(n int, b Bound) Bound {
	if n < 1_000_000 {
		return Bound{}
	}
	return b
}
