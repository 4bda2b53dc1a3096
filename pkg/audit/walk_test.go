package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// plain is a log of rubbish with a few plans in it, by their sequence.
type plain struct {
	size  uint64
	plans map[uint64]uint64 // to their basis
	read  *int              // counts what was read
}

func (p plain) Inventory(context.Context, string) ([]byte, error) {
	return nil, eventlog.ErrNoInventory
}

func (p plain) Records(_ context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for seq := after + 1; seq <= p.size; seq++ {
			*p.read++
			r := eventlog.Record{Sequence: seq, Time: dawn.Add(time.Duration(seq) * time.Second)}
			if basis, ok := p.plans[seq]; ok {
				r.Event = &events.Event{Type: events.TypePlanDecided, Data: &events.PlanDecided{Plan: "p", Basis: basis}}
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// However far plans stand from each other and from what they were decided on, each
// is shown on its basis, in order, and nothing is read more than twice.
func TestEachDecisionIsShownOnItsBasis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plain{size: uint64(rapid.IntRange(0, 9000).Draw(t, "size")), plans: make(map[uint64]uint64), read: new(int)}
		var want []string
		last := uint64(0)
		for range rapid.IntRange(0, 6).Draw(t, "plans") {
			if last+1 >= p.size {
				break
			}
			seq := uint64(rapid.Uint64Range(last+1, p.size).Draw(t, "at"))
			basis := rapid.Uint64Range(last, seq-1).Draw(t, "basis")
			p.plans[seq] = basis
			want = append(want, fmt.Sprintf("%d on %d", seq, basis))
			last = seq
		}
		var got []string
		next := uint64(1)
		st, err := audit.Walk(context.Background(), p, audit.Visitor{
			Decision: func(st *projection.State, d audit.Decision) error {
				got = append(got, fmt.Sprintf("%d on %d", d.Sequence, st.Sequence()))
				return nil
			},
			Skipped: func(d audit.Decision) error { return fmt.Errorf("plan at %d is skipped", d.Sequence) },
			Record: func(before *projection.State, r eventlog.Record) error {
				if before.Sequence() != r.Sequence-1 || r.Sequence != next {
					t.Fatalf("record %d is shown on %d, as number %d", r.Sequence, before.Sequence(), next)
				}
				next++
				return nil
			},
		})
		if err != nil || st.Sequence() != p.size {
			t.Fatalf("ended at %d of %d: %v", st.Sequence(), p.size, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if *p.read > 2*int(p.size) {
			t.Fatalf("%d records were read of %d", *p.read, p.size)
		}
	})
}

func TestAPlanWhoseBasisWasPassedIsSkipped(t *testing.T) {
	p := plain{size: 40, plans: map[uint64]uint64{10: 5, 20: 4, 30: 30, 35: 34}, read: new(int)}
	var shown, skipped []uint64
	_, err := audit.Walk(t.Context(), p, audit.Visitor{
		Decision: func(_ *projection.State, d audit.Decision) error { shown = append(shown, d.Sequence); return nil },
		Skipped:  func(d audit.Decision) error { skipped = append(skipped, d.Sequence); return nil },
	})
	if err != nil || !slices.Equal(shown, []uint64{10, 35}) || !slices.Equal(skipped, []uint64{20, 30}) {
		t.Errorf("shown %v, skipped %v: %v", shown, skipped, err)
	}
}

func TestAWalkEndsWhereItsVisitorWantsTo(t *testing.T) {
	enough := errors.New("enough")
	p := plain{size: 5000, plans: map[uint64]uint64{4000: 7}, read: new(int)}
	st, err := audit.Walk(t.Context(), p, audit.Visitor{Decision: func(*projection.State, audit.Decision) error { return enough }})
	if !errors.Is(err, enough) || st.Sequence() != 7 {
		t.Errorf("at %d: %v", st.Sequence(), err)
	}
	st, err = audit.Walk(t.Context(), audit.Until(p, func(r eventlog.Record) bool { return r.Sequence > 12 }), audit.Visitor{})
	if err != nil || st.Sequence() != 12 {
		t.Errorf("until 12: %d, %v", st.Sequence(), err)
	}
}

func TestAGapEndsAWalk(t *testing.T) {
	s := tell(t)
	s.records = slices.Delete(s.records, 30, 31)
	st, err := audit.Walk(t.Context(), s, audit.Visitor{})
	var gap *audit.Gap
	if !errors.As(err, &gap) || !errors.Is(err, eventlog.ErrGap) || *gap != (audit.Gap{Want: 31, Found: 32}) || st.Sequence() != 30 {
		t.Errorf("at %d: %v", st.Sequence(), err)
	}
}

// A live log goes on growing; what is audited is what it was, and no plan is cut.
func TestALiveLogEndsWhereItEndedAtTheStart(t *testing.T) {
	s := tell(t)
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	add := func(some []eventlog.Record) {
		for _, r := range some {
			if _, err := log.AppendRaw(t.Context(), r.Message); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := find(s, 0, func(d *events.PlanDecided) bool { return len(d.Actions) > 1 })
	steps := len(s.records[at].Event.Data.(*events.PlanDecided).Actions)
	add(s.records[:at+2]) // in the middle of a plan
	live, err := audit.NewLive(t.Context(), log, s.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	add(s.records[at+2:])
	st, err := audit.Walk(t.Context(), live, audit.Visitor{})
	if want := uint64(at + 1 + steps); err != nil || st.Sequence() != want {
		t.Errorf("ended at %d, want %d: %v", st.Sequence(), want, err)
	}
}
