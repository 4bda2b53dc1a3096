package projection_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Whoever asks what changed since a sequence is told exactly what Apply said of
// each message behind it.
func TestWhatChangedSinceIsWhatApplySaid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, said := projection.New(), [][]fleet.NodeID{nil} // by sequence
		for _, l := range history(rt) {
			change, err := s.Apply(s.Sequence()+1, storedAt(s.Sequence()+1), parseLine(l).event())
			if err != nil {
				rt.Fatal(err)
			}
			said = append(said, change.Nodes)
		}
		for since := range said {
			changed, known := s.ChangedSince(uint64(since))
			if !known {
				rt.Fatalf("what changed since %d is not known", since)
			}
			if got, want := slices.Collect(changed), slices.Concat(said[since+1:]...); !slices.Equal(got, want) {
				rt.Fatalf("since %d: %v, want %v", since, got, want)
			}
		}
		if _, known := s.ChangedSince(s.Sequence() + 1); known {
			rt.Fatal("knows what is still to come")
		}
		if _, known := imaged(t, s).ChangedSince(0); known && s.Sequence() > 0 {
			rt.Fatal("a state from an image knows what changed before it")
		}
	})
}

// What is too long ago is said to be unknown, and never said in part. What was
// handed out stays as it was.
func TestLongAgoIsUnknown(t *testing.T) {
	s := projection.New()
	var first projection.Change
	const nodes = 40_000
	for n := range nodes {
		change, err := s.Apply(s.Sequence()+1, midnight, parseLine(fmt.Sprintf("appeared n%d", n)).event())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = change
		}
	}
	if !slices.Equal(first.Nodes, []fleet.NodeID{"n0"}) {
		t.Errorf("the first change is now one of %v", first.Nodes)
	}
	if _, known := s.ChangedSince(0); known {
		t.Error("remembers everything")
	}
	for since := range uint64(nodes) {
		changed, known := s.ChangedSince(since)
		if !known {
			continue
		}
		all := slices.Collect(changed)
		if len(all) < 10_000 || len(all) != nodes-int(since) || all[0] != fleet.NodeID(fmt.Sprint("n", since)) {
			t.Fatalf("since %d: %d nodes from %s on", since, len(all), all[0])
		}
		return // the first that is known
	}
	t.Error("nothing is known")
}

// The holes that removals left are closed by whoever looks first, of many.
func TestManyMayLookAtOnce(t *testing.T) {
	s := projection.New()
	for n := range 100 {
		apply(t, s, parseLine(fmt.Sprintf("appeared n%d", n)).event())
	}
	for n := range 40 {
		apply(t, s, parseLine(fmt.Sprintf("removed n%d", 2*n)).event())
	}
	var looking sync.WaitGroup
	for range 8 {
		looking.Go(func() {
			observed, present, _ := s.Counts()
			if n := len(s.Observed().Nodes); n != 60 || observed != n || present != n || s.CanSign("n1") || s.LastNode("n99") != 100 {
				t.Errorf("%d nodes, %d counted, %d present", n, observed, present)
			}
			if n, ok := s.Node("n99"); !ok || n.Began != 100 || n.Last != 100 {
				t.Errorf("node n99 is %+v", n)
			}
			if ids := s.Still().Len(); ids != 100 {
				t.Errorf("%d ids are held still", ids)
			}
			if st, ok := s.Standing("n99"); !ok || !st.Present || st.ID != "n99" || st.Began != 100 {
				t.Errorf("n99 stands as %+v", st)
			}
		})
	}
	looking.Wait()
}
