package archive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// carried is the proof after it was written and read.
func carried(t *rapid.T, p archive.Proof) archive.Proof {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	again, err := archive.ReadProof(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestAProofHoldsWithoutTheLog(t *testing.T) {
	s := tamper.Tell(t)
	size := uint64(len(s.Log))
	rapid.Check(t, func(rt *rapid.T) {
		now := rapid.Uint64Range(1, size).Draw(rt, "size")
		seq := rapid.Uint64Range(1, now).Draw(rt, "seq")
		old := rapid.Uint64Range(0, now).Draw(rt, "old")
		p, err := archive.ProveRecord(t.Context(), s, seq, archive.Tree{Size: now})
		if err != nil {
			rt.Fatal(err)
		}
		p = carried(rt, p)
		r, err := p.Event()
		if err != nil || !same(r, s.Log[seq-1]) && merkle.LeafOf(r) != merkle.LeafOf(s.Log[seq-1]) {
			rt.Errorf("it is about %v, %v", r, err)
		}
		if err := p.Verify(); err != nil {
			rt.Error(err)
		}
		if err := p.Verify(s.Key.Public); !errors.Is(err, archive.ErrNotProved) || !strings.Contains(err.Error(), "nobody signed") {
			rt.Errorf("with a key: %v", err)
		}
		c, err := archive.ProveConsistency(t.Context(), s, archive.Tree{Size: old}, archive.Tree{Size: now})
		if err != nil {
			rt.Fatal(err)
		}
		if c = carried(rt, c); c.Verify() != nil {
			rt.Error(c.Verify())
		}
	})
}

// signedTrees are the two checkpoints of the story.
func signedTrees(t *testing.T, s *tamper.Story) (trees []archive.Tree) {
	for _, r := range s.Log {
		if r.Message.Subject == "fleet.events.checkpoint" {
			var d struct{ Note string }
			if err := json.Unmarshal(r.Message.Data, &d); err != nil {
				t.Fatal(err)
			}
			tree, err := archive.TreeOf([]byte(d.Note))
			if err != nil {
				t.Fatal(err)
			}
			trees = append(trees, tree)
		}
	}
	return trees
}

func TestWhatDoesNotProve(t *testing.T) {
	s := tamper.Tell(t)
	trees := signedTrees(t, s)
	in, err1 := archive.ProveRecord(t.Context(), s, 3, trees[1])
	con, err2 := archive.ProveConsistency(t.Context(), s, trees[0], trees[1])
	if err := errors.Join(err1, err2, in.Verify(s.Key.Public), con.Verify(s.Key.Public)); err != nil {
		t.Fatal(err)
	}
	other := tamper.NewKey(t, tamper.Origin)
	if err := in.Verify(other.Public); !errors.Is(err, archive.ErrNotProved) || !errors.Is(err, merkle.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	for what, change := range map[string]func(in, con *archive.Proof){
		"the record":            func(in, _ *archive.Proof) { in.Record = strings.Replace(in.Record, `"epoch":1`, `"epoch":2`, 1) },
		"the record's sequence": func(in, _ *archive.Proof) { in.Record = strings.Replace(in.Record, `"seq":3`, `"seq":4`, 1) },
		"the record's form":     func(in, _ *archive.Proof) { in.Record += " " },
		"a hash":                func(in, _ *archive.Proof) { in.Hashes[0][0] ^= 1 },
		"a hash less":           func(in, _ *archive.Proof) { in.Hashes = in.Hashes[1:] },
		"the root":              func(in, _ *archive.Proof) { in.Tree.Root[0] ^= 1 },
		"the size":              func(in, _ *archive.Proof) { in.Tree.Size++ },
		"the checkpoint":        func(in, _ *archive.Proof) { in.Tree.Checkpoint = trees[0].Checkpoint },
		"no checkpoint":         func(in, _ *archive.Proof) { in.Tree.Checkpoint = "" },
		"a note of its own":     func(in, _ *archive.Proof) { in.Tree.Checkpoint = "x\n" },
		"the old root":          func(_, con *archive.Proof) { con.Old.Root[0] ^= 1 },
		"the old size":          func(_, con *archive.Proof) { con.Old.Size-- },
		"the old checkpoint":    func(_, con *archive.Proof) { con.Old.Checkpoint = trees[1].Checkpoint },
		"a hash of consistency": func(_, con *archive.Proof) { con.Hashes[0][0] ^= 1 },
	} {
		i, c := in, con
		old := *con.Old
		c.Old = &old
		i.Hashes, c.Hashes = append([]merkle.Hash{}, in.Hashes...), append([]merkle.Hash{}, con.Hashes...)
		change(&i, &c)
		if err := errors.Join(i.Verify(s.Key.Public), c.Verify(s.Key.Public)); !errors.Is(err, archive.ErrNotProved) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestALogThatIsNotWhatWasSignedProvesNothing(t *testing.T) {
	s := tamper.Tell(t)
	trees := signedTrees(t, s)
	forged := &tamper.Story{Log: append([]eventlog.Record(nil), s.Log...)}
	forged.Log[4].Message.Data = []byte("{}")
	short := &tamper.Story{Log: s.Log[:5]}
	for what, src := range map[string]*tamper.Story{"one record is another": forged, "records are missing": short} {
		_, err1 := archive.ProveRecord(t.Context(), src, 3, trees[1])
		_, err2 := archive.ProveConsistency(t.Context(), src, trees[0], trees[1])
		_, err3 := archive.ProveConsistency(t.Context(), src, archive.Tree{}, trees[0])
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, archive.ErrNotProved) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	_, err1 := archive.ProveRecord(t.Context(), s, 0, trees[0])
	_, err2 := archive.ProveConsistency(t.Context(), s, trees[1], trees[0])
	if err1 == nil || err2 == nil {
		t.Errorf("%v, %v", err1, err2)
	}
}

func TestProofsThatAreNone(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":         "",
		"another format":  `{"fleetfold_proof":2,"record":"x","tree":{"size":1,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"hashes":[]}`,
		"of nothing":      `{"fleetfold_proof":1,"tree":{"size":1,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"hashes":[]}`,
		"of a field more": `{"fleetfold_proof":1,"record":"x","x":1}`,
		"of two":          `{"fleetfold_proof":1,"record":"x"}{}`,
		"of half a hash":  `{"fleetfold_proof":1,"record":"x","hashes":["AAAA"]}`,
	} {
		if _, err := archive.ReadProof(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func FuzzReadProof(f *testing.F) {
	s := tamper.Tell(f)
	p, err := archive.ProveRecord(f.Context(), s, 3, archive.Tree{Size: 9})
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"fleetfold_proof":1,"old":{"size":9223372036854775807,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"tree":{"size":18446744073709551615},"hashes":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := archive.ReadProof(bytes.NewReader(text))
		if err == nil && p.Verify() == nil && p.Old == nil {
			if _, err := p.Event(); err != nil {
				t.Errorf("%q holds, and is of no record: %v", text, err)
			}
		}
	})
}
