package simulate

import (
	"testing"
	"time"
	"unsafe"
)

func TestTheScheduleFollowsFromTheSeed(t *testing.T) {
	lives := func(seed uint64) (all []int64) {
		s, err := New(Config{Nodes: 100, Churn: 1, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		s.plan(0)
		for i := range s.nodes {
			all = append(all, s.nodes[i].due, s.nodes[i].dies)
		}
		return all
	}
	same, other := true, true
	first, second, third := lives(1), lives(1), lives(2)
	for i := range first {
		same = same && first[i] == second[i]
		other = other && first[i] == third[i]
	}
	if !same || other {
		t.Errorf("one seed gives the same schedule: %v; two seeds do: %v", same, other)
	}
}

func TestChurnIsThePartThatDiesInAMinute(t *testing.T) {
	s, err := New(Config{Nodes: 20_000, Churn: 0.5, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	s.plan(0)
	died := 0
	for i := range s.nodes {
		if s.nodes[i].dies-s.nodes[i].due < int64(time.Minute) {
			died++
		}
	}
	// 1 - e^-0.5 is 0.393; five standard deviations are 0.017.
	if part := float64(died) / 20_000; part < 0.376 || part > 0.411 {
		t.Errorf("%v of the nodes die in the first minute", part)
	}
}

func TestANodeWithoutACredentialIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(node{}) + unsafe.Sizeof(int32(0)); size > 120 {
		t.Errorf("a node takes %d bytes", size)
	}
}

func TestATagTellsWhatWasSent(t *testing.T) {
	tag := tagOf(MaxNodes-1, 70*time.Hour, time.Hour)
	if i := tag >> tagNodeShift; i != MaxNodes-1 {
		t.Errorf("node %d", i)
	}
	if lease := tag & (1<<tagLeaseBits - 1); lease != 3600 {
		t.Errorf("lease %d", lease)
	}
	if ms := tag >> tagLeaseBits & (1<<tagTimeBits - 1); ms != 70*3600*1000 {
		t.Errorf("sent at %d ms", ms)
	}
}
