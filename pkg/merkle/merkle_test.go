package merkle_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// The encoding is for ever: what was published about a log must hold in ten years.
func TestARecordIsEncodedAsItIsWrittenDown(t *testing.T) {
	want := hex.EncodeToString([]byte("fleetfold record v1\n")) +
		"0000000000000102" + // sequence 258
		"000000006955d965" + // 2026-01-01T02:18:13Z
		"00000009" + // and 9 ns
		"00000003" + hex.EncodeToString([]byte("f.e")) +
		"00000003" + // headers
		"00000001" + hex.EncodeToString([]byte("A")) + "00000001" + hex.EncodeToString([]byte("y")) +
		"00000001" + hex.EncodeToString([]byte("A")) + "00000001" + hex.EncodeToString([]byte("x")) +
		"00000001" + hex.EncodeToString([]byte("b")) + "00000000" +
		"00000002" + "00ff"
	r := record(258)
	r.Time = time.Unix(0x6955d965, 9)
	r.Message = events.Message{Subject: "f.e", Header: map[string][]string{"b": {""}, "A": {"y", "x"}}, Data: []byte{0, 0xff}}
	if got := hex.EncodeToString(merkle.AppendRecord(nil, r)); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if got := merkle.LeafOf(r).String(); got != "WJc0pYTAB1SS6NRhwf4MLJ815oQOeOOnW5fevla98+c=" {
		t.Errorf("leaf is %s", got)
	}
}

func TestNoTwoRecordsHaveOneLeaf(t *testing.T) {
	plain := record(1)
	leaves := map[merkle.Hash]string{merkle.LeafOf(plain): "the record itself"}
	for what, change := range map[string]func(*eventlog.Record){
		"sequence":   func(r *eventlog.Record) { r.Sequence++ },
		"second":     func(r *eventlog.Record) { r.Time = r.Time.Add(1e9) },
		"nanosecond": func(r *eventlog.Record) { r.Time = r.Time.Add(1) },
		"subject":    func(r *eventlog.Record) { r.Message.Subject += "." },
		"data":       func(r *eventlog.Record) { r.Message.Data = []byte(`{"basis":7} `) },
		"a header's name": func(r *eventlog.Record) {
			r.Message.Header = map[string][]string{"ce-typf": {"plan.decided"}, "ce-id": {"1"}}
		},
		"a header's case": func(r *eventlog.Record) {
			r.Message.Header = map[string][]string{"ce-Type": {"plan.decided"}, "ce-id": {"1"}}
		},
		"a header's value": func(r *eventlog.Record) {
			r.Message.Header = map[string][]string{"ce-type": {"plan.decidee"}, "ce-id": {"1"}}
		},
		"a header more": func(r *eventlog.Record) {
			r.Message.Header = map[string][]string{"ce-type": {"plan.decided"}, "ce-id": {"1", ""}}
		},
		"a header less": func(r *eventlog.Record) { r.Message.Header = map[string][]string{"ce-type": {"plan.decided"}} },
		"no header":     func(r *eventlog.Record) { r.Message.Header = nil },
		"from subject to header": func(r *eventlog.Record) {
			r.Message.Subject = "fleet.events"
			r.Message.Header = map[string][]string{".plan": nil}
		},
		"values changed in order": func(r *eventlog.Record) {
			r.Message.Header = map[string][]string{"ce-id": {"", "1"}, "ce-type": {"plan.decided"}}
		},
	} {
		r := record(1)
		change(&r)
		leaf := merkle.LeafOf(r)
		if other, double := leaves[leaf]; double {
			t.Errorf("%s: same leaf as %s", what, other)
		}
		leaves[leaf] = what
	}
}

func leafAt(i uint64) merkle.Hash { return merkle.LeafOf(record(i)) }

func drawTree(t *rapid.T) (uint64, []merkle.Hash) {
	size := rapid.Uint64Range(1, 300).Draw(t, "size")
	roots := []merkle.Hash{new(merkle.Frontier).Root()}
	var f merkle.Frontier
	for seq := uint64(1); seq <= size; seq++ {
		f.Append(leafAt(seq))
		roots = append(roots, f.Root())
	}
	return size, roots
}

func TestAFrontierGoesOnFromWhatWasKeptOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, roots := drawTree(t)
		cut := rapid.Uint64Range(0, size).Draw(t, "cut")
		var before merkle.Frontier
		for seq := uint64(1); seq <= cut; seq++ {
			before.Append(leafAt(seq))
		}
		after, err := merkle.Resume(merkle.Checkpoint{Origin: "o", Size: cut, Root: roots[cut]}, before.Edge())
		if err != nil {
			t.Fatal(err)
		}
		for seq := cut + 1; seq <= size; seq++ {
			after.Append(leafAt(seq))
		}
		if after.Size() != size || after.Root() != roots[size] || before.Root() != roots[cut] {
			t.Errorf("at %d it is %s, not %s", after.Size(), after.Root(), roots[size])
		}
		if edge := before.Edge(); len(edge) > 0 {
			edge[rapid.IntRange(0, len(edge)-1).Draw(t, "hash")][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
			if _, err := merkle.Resume(merkle.Checkpoint{Origin: "o", Size: cut, Root: roots[cut]}, edge); err == nil {
				t.Error("went on from another edge")
			}
		}
		if _, err := merkle.NewFrontier(size, make([]merkle.Hash, 10)); err == nil {
			t.Error("took up ten hashes")
		}
	})
}

func TestProofsHoldForWhatTheyProveOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, roots := drawTree(t)
		seq := rapid.Uint64Range(1, size).Draw(t, "seq")
		old := rapid.Uint64Range(0, size).Draw(t, "old")
		var p merkle.Prover
		for _, err := range []error{p.WantInclusion(seq, size), p.WantConsistency(old, size)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		// The tree may be longer than what is proved of it.
		for i := uint64(1); i <= size+rapid.Uint64Range(0, 9).Draw(t, "more"); i++ {
			p.Append(leafAt(i))
		}
		in, err1 := p.Inclusion(seq, size)
		con, err2 := p.Consistency(old, size)
		if err := errors.Join(err1, err2, merkle.CheckInclusion(in, seq, leafAt(seq), size, roots[size]),
			merkle.CheckConsistency(con, old, roots[old], size, roots[size])); err != nil {
			t.Fatal(err)
		}
		broken := map[string]error{
			"the leaf of another record":    merkle.CheckInclusion(in, seq, leafAt(seq+1), size, roots[size]),
			"the root of another tree":      merkle.CheckInclusion(in, seq, leafAt(seq), size, roots[size-1]),
			"another old root":              merkle.CheckConsistency(con, old, flip(t, roots[old]), size, roots[size]),
			"a hash more":                   merkle.CheckInclusion(append(slices.Clone(in), roots[0]), seq, leafAt(seq), size, roots[size]),
			"a hash more of the older tree": merkle.CheckConsistency(append(slices.Clone(con), roots[0]), old, roots[old], size, roots[size]),
		}
		if len(in) > 0 {
			broken["a byte of the inclusion"] = merkle.CheckInclusion(flipOne(t, in), seq, leafAt(seq), size, roots[size])
		}
		if len(con) > 0 {
			broken["a byte of the consistency"] = merkle.CheckConsistency(flipOne(t, con), old, roots[old], size, roots[size])
		}
		if old > 0 {
			broken["another new root"] = merkle.CheckConsistency(con, old, roots[old], size, flip(t, roots[size]))
		}
		for what, err := range broken {
			if err == nil {
				t.Errorf("%s: it holds", what)
			}
		}
	})
}

func flip(t *rapid.T, h merkle.Hash) merkle.Hash {
	h[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	return h
}

func flipOne(t *rapid.T, proof []merkle.Hash) []merkle.Hash {
	changed := slices.Clone(proof)
	i := rapid.IntRange(0, len(proof)-1).Draw(t, "hash")
	changed[i] = flip(t, changed[i])
	return changed
}

func TestAProverSaysWhatItCannotProve(t *testing.T) {
	var p merkle.Prover
	for what, err := range map[string]error{
		"record 0":                    p.WantInclusion(0, 3),
		"a record behind the end":     p.WantInclusion(4, 3),
		"a size beyond all":           p.WantInclusion(1, merkle.MaxSize+1),
		"a log that became shorter":   p.WantConsistency(4, 3),
		"a size beyond all, from one": p.WantConsistency(1, merkle.MaxSize+1),
		"a check beyond all":          merkle.CheckInclusion(nil, 1, merkle.Hash{}, 1<<63+1, merkle.Hash{}),
		"two sizes beyond all":        merkle.CheckConsistency(nil, 1<<63+1, merkle.Hash{}, 1<<63+1, merkle.Hash{}),
		"nothing, with a root":        merkle.CheckConsistency(nil, 0, merkle.Hash{}, 0, merkle.Hash{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if err := p.WantInclusion(1, 3); err != nil {
		t.Fatal(err)
	}
	p.Append(leafAt(1))
	if _, err := p.Inclusion(1, 3); err == nil || !strings.Contains(err.Error(), "the log ends at 1") {
		t.Errorf("a log that is too short: %v", err)
	}
	p.Append(leafAt(2))
	p.Append(leafAt(3))
	if _, err := p.Inclusion(3, 3); err == nil || !strings.Contains(err.Error(), "not asked for") {
		t.Errorf("a proof that was not wanted: %v", err)
	}
}

func TestRecentRootsAreKnown(t *testing.T) {
	var f merkle.Frontier
	recent := merkle.NewRecent(&f)
	roots := []merkle.Hash{f.Root()}
	leaf := leafAt(1)
	for range 20000 {
		leaf[0]++
		f.Append(leaf)
		recent.Append(leaf)
		roots = append(roots, f.Root())
	}
	for _, back := range []uint64{0, 1, 2, 4095, 4096} {
		if got, ok := recent.RootAt(20000 - back); !ok || got != roots[20000-back] {
			t.Errorf("%d back: %v, %s", back, ok, got)
		}
	}
	for _, size := range []uint64{0, 1000, 20001} {
		if _, ok := recent.RootAt(size); ok {
			t.Errorf("knows the root at %d", size)
		}
	}
	if recent.Frontier().Root() != roots[20000] {
		t.Error("it is another tree")
	}
}

func newKey(t testing.TB, name string) (merkle.Key, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	if _, err := merkle.CreateKey(folder, name); err != nil {
		t.Fatal(err)
	}
	key, err := merkle.LoadKey(filepath.Join(folder, merkle.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return key, folder
}

func TestACheckpointIsBelievedByItsKeyOnly(t *testing.T) {
	key, folder := newKey(t, "example/fleet")
	other, _ := newKey(t, "example/fleet")
	third, _ := newKey(t, "elsewhere")
	want := merkle.Checkpoint{Origin: "example/fleet", Size: 7, Root: leafAt(1)}
	signed, err := merkle.Sign(want, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := merkle.LoadVerifier(filepath.Join(folder, merkle.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]note.Verifier{{key.Public}, {public}, {third.Public, public, other.Public}} {
		if got, err := merkle.Open(signed, keys...); err != nil || got != want {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, keys := range [][]note.Verifier{nil, {other.Public}, {third.Public}} {
		if _, err := merkle.Open(signed, keys...); !errors.Is(err, merkle.ErrSignature) {
			t.Errorf("with other keys: %v", err)
		}
	}
	if got, err := merkle.Read(signed); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := merkle.Sign(want, third); err == nil {
		t.Error("signed for another log")
	}
}

// A key that is believed for one log must not speak for another one.
func TestAKeySpeaksForItsOwnLogOnly(t *testing.T) {
	key, _ := newKey(t, "mine")
	text := merkle.Checkpoint{Origin: "yours", Size: 1, Root: leafAt(1)}.Text()
	signed, err := note.Sign(&note.Note{Text: text}, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := merkle.Open(signed, key.Public); !errors.Is(err, merkle.ErrSignature) {
		t.Errorf("got %v", err)
	}
}

// Every byte counts, those that base64 leaves open among them.
func TestOneChangedByteBreaksACheckpoint(t *testing.T) {
	key, _ := newKey(t, "fleet")
	signed, err := merkle.Sign(merkle.Checkpoint{Origin: "fleet", Size: 12, Root: leafAt(2)}, key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		for bit := range 8 {
			changed := bytes.Clone(signed)
			changed[i] ^= 1 << bit
			if c, err := merkle.Open(changed, key.Public); err == nil {
				t.Fatalf("byte %d, bit %d: opened as %v", i, bit, c)
			}
		}
	}
	line := signed[bytes.Index(signed, []byte("\n\n"))+2:]
	if _, err := merkle.Open(append(bytes.Clone(signed), line...), key.Public); err == nil {
		t.Error("opened with its signature twice")
	}
}

func TestKeysStayWithTheirOwner(t *testing.T) {
	_, folder := newKey(t, "fleet")
	path := filepath.Join(folder, merkle.KeyFile)
	for name, want := range map[string]os.FileMode{"": 0o700, merkle.KeyFile: 0o600, merkle.PublicFile: 0o644} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := merkle.CreateKey(folder, "fleet"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("again: %v", err)
	}
	if _, err := merkle.LoadVerifier(path); err == nil || strings.Contains(err.Error(), "PRIVATE") || !strings.Contains(err.Error(), merkle.PublicFile) {
		t.Errorf("the wrong half: %v", err)
	}
	if _, err := merkle.LoadKey(filepath.Join(folder, merkle.PublicFile)); err == nil {
		t.Error("loaded the public half for signing")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := merkle.LoadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("open to its group: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00b", "\xff", strings.Repeat("x", 256)} {
		if _, err := merkle.CreateKey(filepath.Join(folder, "other"), name); err == nil {
			t.Errorf("made a key for %q", name)
		}
	}
	if _, err := merkle.LoadKey(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	secret, public, err := note.GenerateKey(rand.Reader, "fleet")
	if err != nil {
		f.Fatal(err)
	}
	signer, err1 := note.NewSigner(secret)
	verifier, err2 := note.NewVerifier(public)
	signed, err3 := note.Sign(&note.Note{Text: merkle.Checkpoint{Origin: "fleet", Size: 3, Root: leafAt(1)}.Text()}, signer)
	if err := errors.Join(err1, err2, err3); err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("fleet\n1\n\n— a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := merkle.Read(text)
		if err == nil && !bytes.HasPrefix(text, []byte(c.Text()+"\n")) {
			t.Errorf("%q was read as %v", text, c)
		}
		if o, err := merkle.Open(text, verifier); err == nil && (o != c || !bytes.Equal(text, signed)) {
			t.Errorf("%q was opened", text)
		}
	})
}

func FuzzNewFrontier(f *testing.F) {
	f.Add(uint64(5), make([]byte, 64))
	f.Fuzz(func(t *testing.T, size uint64, raw []byte) {
		edge := make([]merkle.Hash, len(raw)/32)
		for i := range edge {
			copy(edge[i][:], raw[32*i:])
		}
		tree, err := merkle.NewFrontier(size, edge)
		if err != nil {
			return
		}
		tree.Append(merkle.Hash{})
		if again, err := merkle.NewFrontier(tree.Size(), tree.Edge()); err != nil || again.Root() != tree.Root() || tree.Size() != size+1 {
			t.Errorf("%d and %v: %v", size, edge, err)
		}
	})
}
