package snapshot_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// afterMagic is where the format stands in a file.
const afterMagic = len("fleetfold snapshot\n")

// bad are snapshots of no use to a log of ten nodes, by what is wrong with them.
func bad(t *testing.T, log eventlog.Log) map[string]struct {
	content []byte
	want    fleet.Reason
} {
	t.Helper()
	right := file(t, log, 10)
	longer := newBus(t).Log()
	add(t, longer, 20, "s1")
	state, mark := folded(t, log, 10)
	later := mark
	later.Time = later.Time.Add(1)
	renamed := mark
	renamed.Message = "another"
	return map[string]struct {
		content []byte
		want    fleet.Reason
	}{
		"another format":          {another(right, afterMagic, 0, 1), snapshot.OtherVersion},
		"another fold":            {another(right, afterMagic+5, 9), snapshot.OtherVersion},
		"nothing":                 {nil, snapshot.Damaged},
		"no snapshot":             {[]byte("apiVersion: v1\nkind: List\nitems: []\n"), snapshot.Damaged},
		"its beginning":           {right[:len(right)/2], snapshot.Damaged},
		"a byte of it":            {another(right, len(right)/2, right[len(right)/2]^1), snapshot.Damaged},
		"its end":                 {another(right, len(right)-1, right[len(right)-1]^1), snapshot.Damaged},
		"more than it":            {append(right[:len(right):len(right)], 0), snapshot.Damaged},
		"of a longer log":         {file(t, longer, 20), snapshot.Ahead},
		"of a log of this length": {file(t, longer, 10), snapshot.Foreign},
		"of a moment later":       {encoded(t, state.Still(), later), snapshot.Foreign},
		"of another message":      {encoded(t, state.Still(), renamed), snapshot.Foreign},
	}
}

func TestNewestPassesOverWhatIsOfNoUse(t *testing.T) {
	bus := newBus(t)
	log := bus.Log()
	add(t, log, 10, "s1")
	put(t, bus, 5, file(t, log, 5))
	want, _ := folded(t, log, 5)
	hash, err := snapshot.HashOf(want)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range bad(t, log) {
		put(t, bus, 10, b.content)
		var skipped []snapshot.Skipped
		s, end, err := snapshot.Newest(patience(t), log, bus, func(k snapshot.Skipped) { skipped = append(skipped, k) })
		if err != nil || s == nil || s.Mark.Sequence != 5 || s.Hash != hash || end != 10 {
			t.Fatalf("%s: got %+v up to %d, %v", what, s, end, err)
		}
		if len(skipped) == 0 || skipped[0].Reason != b.want || skipped[0].Name == "" || skipped[0].Err == nil {
			t.Errorf("%s: skipped %+v, want %s", what, skipped, b.want)
		}
	}
}

func TestNewestTakesTheNewestThatIsOfUse(t *testing.T) {
	bus := newBus(t)
	log := bus.Log()
	none := func(k snapshot.Skipped) { t.Errorf("skipped %+v", k) }
	if s, end, err := snapshot.Newest(patience(t), log, bus, none); s != nil || end != 0 || err != nil {
		t.Errorf("of nothing: %+v, %d, %v", s, end, err)
	}
	add(t, log, 10, "s1")
	for _, seq := range []uint64{3, 10, 7} {
		put(t, bus, seq, file(t, log, seq))
		s, _, err := snapshot.Newest(patience(t), log, bus, none)
		if err != nil || s.Mark.Sequence != seq {
			t.Errorf("got %+v, %v, want %d", s, err, seq)
		}
	}
}

// broken is a store that goes wrong where it is told to.
type broken struct {
	snapshot.Store
	list, del error
}

func (b broken) Snapshots(ctx context.Context) ([]eventlog.StoredSnapshot, error) {
	if b.list != nil {
		return nil, b.list
	}
	return b.Store.Snapshots(ctx)
}

func (b broken) DeleteSnapshots(ctx context.Context, keep int) error {
	if b.del != nil {
		return b.del
	}
	return b.Store.DeleteSnapshots(ctx, keep)
}

func TestAStoreThatFailsIsNoReasonNotToFold(t *testing.T) {
	bus := newBus(t)
	add(t, bus.Log(), 1, "s1")
	failure := errors.New("no permission")
	var skipped []snapshot.Skipped
	s, end, err := snapshot.Newest(patience(t), bus.Log(), broken{Store: bus, list: failure}, func(k snapshot.Skipped) { skipped = append(skipped, k) })
	if s != nil || end != 1 || err != nil || len(skipped) != 1 || skipped[0].Reason != snapshot.Unreadable || !errors.Is(skipped[0].Err, failure) {
		t.Errorf("got %+v, %d, %v, skipped %+v", s, end, err, skipped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := snapshot.Newest(ctx, bus.Log(), bus, func(k snapshot.Skipped) { t.Errorf("skipped %+v", k) }); !errors.Is(err, context.Canceled) {
		t.Errorf("in a context that has ended: %v", err)
	}
}

func TestVerifyFindsWhatTheLogDoesNotFoldTo(t *testing.T) {
	bus := newBus(t)
	log := bus.Log()
	add(t, log, 10, "s1")
	state, mark := folded(t, log, 7)
	img := state.Still()
	img.Unfit++ // whole, sealed, of this log, and wrong
	put(t, bus, 10, file(t, log, 10))
	put(t, bus, 7, encoded(t, img, mark))
	put(t, bus, 3, []byte("nonsense"))
	put(t, bus, 4, file(t, log, 4))
	verdicts, err := snapshot.Verify(patience(t), log, bus)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		sequence uint64
		reason   fleet.Reason
	}{{4, ""}, {3, snapshot.Damaged}, {7, snapshot.Differs}, {10, ""}}
	if len(verdicts) != len(want) {
		t.Fatalf("got %+v", verdicts)
	}
	for i, v := range verdicts {
		if v.Stored.Sequence != want[i].sequence || v.Reason != want[i].reason || (v.Reason == "") != (v.Err == nil) {
			t.Errorf("verdict %+v, want %+v", v, want[i])
		}
		if right := v.Hash == v.Folded && v.Hash != (snapshot.Hash{}); right != (v.Reason == "") {
			t.Errorf("hashes %s and %s of %+v", v.Hash, v.Folded, want[i])
		}
	}
	if none, err := snapshot.Verify(patience(t), log, newBus(t)); err != nil || len(none) != 0 {
		t.Errorf("of an empty store: %+v, %v", none, err)
	}
}
