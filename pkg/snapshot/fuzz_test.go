package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// some is a state with a little of everything.
func some(tb testing.TB) *projection.State {
	tb.Helper()
	s := projection.New()
	for _, e := range []*events.Event{
		{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "d", Generation: 1, Actor: "ada"}},
		{Type: events.TypePlanDecided, Data: &events.PlanDecided{Safeguards: events.HoldSafeguards{BlindFraction: 0.55}}},
		{Type: events.TypeOfAction(fleet.EnrollNode), Node: "n1", Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: "n1", Action: "e", Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeNodeAppeared, Node: "n1", Data: &events.NodeAppeared{Epoch: 1, Session: "s"}},
		{Type: events.TypeCredentialIssued, Node: "n1", Data: &events.CredentialIssued{Epoch: 1, Serial: "a", Nonce: "x"}},
		{Type: events.TypeNodeLost, Node: "n1", Data: &events.NodeLost{Epoch: 1}},
		{Type: events.TypeControlPaused, Data: &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeFleet}, Actor: "ada"}},
		{Type: events.TypePlanApproved, Data: &events.PlanApproved{Approval: "a", Basis: 2}},
		{Type: events.TypeNodeLost, Node: "n2", Data: &events.NodeLost{Epoch: 1}},
		nil,
	} {
		seq := s.Sequence() + 1
		if _, err := s.Apply(seq, yearOneTime.AddDate(2025, 0, int(seq)), e); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

var yearOneTime = wireTime{}.time()

// FuzzDecode decodes whatever comes. It must end with an error that says what is
// wrong, or with a state whose hash is the one that the file was sealed with.
func FuzzDecode(f *testing.F) {
	s := some(f)
	var file bytes.Buffer
	if _, err := Encode(&file, s.Still(), Mark{Sequence: s.Sequence()}); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, content []byte) {
		back, err := Decode(bytes.NewReader(content))
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrOtherVersion) {
				t.Fatal(err)
			}
			return
		}
		if h, err := HashOf(back.State); err != nil || h != back.Hash {
			t.Fatalf("hash %s came back as %s, %v", back.Hash, h, err)
		}
	})
}

// FuzzBody is behind the seal, which no fuzzer finds: what a body says is
// either refused or makes a state that can be stored and read again.
func FuzzBody(f *testing.F) {
	var body bytes.Buffer
	img := some(f).Still()
	if err := newBody(&body).still(img); err != nil {
		f.Fatal(err)
	}
	f.Add(body.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		r := &bodyReader{r: bufio.NewReader(bytes.NewReader(content)), source: new(source), sum: sha256.New()}
		r.source.n.Store(uint64(len(content)))
		restored := r.restore()
		if err := r.image(); err != nil {
			return
		}
		s := restored.State()
		once := s.Image()
		again, err := projection.FromImage(s.Image())
		if err != nil {
			t.Fatalf("the image of a restored state: %v", err)
		}
		if !reflect.DeepEqual(again.Image(), once) {
			t.Fatal("a state is another after it was restored")
		}
		use(again)
	})
}

// use asks what would panic if the state did not hold together.
func use(s *projection.State) {
	for _, n := range s.Observed().Nodes {
		s.LostAt(n.ID)
		s.Ledger().InFlight(n.ID)
	}
	for _, f := range s.Ledger().Flights() {
		seq := s.Sequence() + 1
		_, _ = s.Apply(seq, yearOneTime, &events.Event{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: f.ID}})
	}
}

// A small file must not be able to ask for much memory.
func TestDecodeKeepsToItsBounds(t *testing.T) {
	chunk := func(kind byte, length uint64, content ...byte) []byte {
		return append(binary.AppendUvarint([]byte{kind}, length), content...)
	}
	for what, body := range map[string][]byte{
		"a chunk above the bound":         chunk(kindFleet, maxChunk+1),
		"more than the file can hold":     chunk(kindFleet, maxChunk),
		"a chunk without content":         chunk(kindFleet, 0),
		"an end with content":             chunk(kindEnd, 1, 0),
		"no fleet":                        chunk(kindEnd, 0),
		"ids before the fleet":            chunk(kindIDs, 1, 0xf6),
		"a kind that does not exist":      chunk(99, 1, 0xf6),
		"an array with a million entries": chunk(kindFleet, 5, 0x9a, 0, 0x0f, 0x42, 0x40),
		"an array without an end":         chunk(kindFleet, 2, 0x9f, 0xff),
		"no length":                       {kindFleet},
		"nothing":                         {},
	} {
		r := &bodyReader{r: bufio.NewReader(bytes.NewReader(body)), source: new(source), sum: sha256.New()}
		r.source.n.Store(1000)
		r.restore()
		if err := r.image(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", what, err)
		}
		if cap(r.chunk) > maxGrowth*1000+chunkBytes {
			t.Errorf("%s: took %d bytes", what, cap(r.chunk))
		}
	}
}

func TestEncodeRefusesAMarkOfAnotherRecord(t *testing.T) {
	s := some(t)
	for _, seq := range []uint64{0, s.Sequence() - 1} {
		if _, err := Encode(io.Discard, s.Still(), Mark{Sequence: seq}); err == nil {
			t.Errorf("took a mark at %d for a state at %d", seq, s.Sequence())
		}
	}
	if _, err := Encode(io.Discard, projection.New().Still(), Mark{}); err == nil {
		t.Error("a snapshot of nothing")
	}
}
