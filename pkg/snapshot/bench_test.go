package snapshot_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// large is a fleet in which every node was enrolled, given a certificate of the
// size that fleets have, and has proved it. One in a hundred was removed.
func large(tb testing.TB, nodes int) *projection.State {
	tb.Helper()
	s := projection.New()
	random := rand.NewChaCha8([32]byte{})
	der := make([]byte, 640)
	for n := range nodes {
		id := fleet.NodeID(fmt.Sprintf("region/nyc/node-%07d", n))
		_, _ = random.Read(der) // never fails
		pem := "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END CERTIFICATE-----\n"
		key, serial := fmt.Sprintf("sha256:%064x", der[:32]), fmt.Sprintf("%032x", der[:16])
		enroll, issue := fleet.ActionID(fmt.Sprintf("%032x", der[32:48])), fleet.ActionID(fmt.Sprintf("%032x", der[48:64]))
		for _, e := range []*events.Event{
			{Type: events.TypeOfAction(fleet.EnrollNode), Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: enroll, Attempt: 1, Epoch: 1, Generation: 1}},
			{Type: events.TypeNodeAppeared, Data: &events.NodeAppeared{Epoch: 1, Session: serial, KeyFingerprint: key}},
			{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: enroll}},
			{Type: events.TypeOfAction(fleet.IssueCredential), Data: &events.ActionRequested{Type: fleet.IssueCredential, ID: id, Action: issue, Attempt: 1, Epoch: 1, Generation: 1}},
			{Type: events.TypeCredentialIssued, Data: &events.CredentialIssued{Epoch: 1, Serial: serial, Nonce: serial, KeyFingerprint: key, NotBefore: noon, NotAfter: noon.Add(time.Hour), CertificatePEM: pem}},
			{Type: events.TypeCredentialProved, Data: &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: serial}},
			{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: issue}},
			{Type: events.TypeNodeRemoved, Data: &events.NodeRemoved{Epoch: 1}},
		} {
			if e.Type == events.TypeNodeRemoved && n%100 != 0 {
				continue
			}
			e.Node = id
			seq := s.Sequence() + 1
			if _, err := s.Apply(seq, noon.Add(time.Duration(seq)*time.Millisecond), e); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return s
}

func size(b *testing.B) int {
	if testing.Short() {
		return 1_000
	}
	return 100_000
}

// BenchmarkStill is how long whoever folds has to wait.
func BenchmarkStill(b *testing.B) {
	s := large(b, size(b))
	b.ReportAllocs()
	for b.Loop() {
		s.Still()
	}
}

func BenchmarkEncode(b *testing.B) {
	img := large(b, size(b)).Still()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := snapshot.Encode(io.Discard, img, snapshot.Mark{Sequence: img.Sequence}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode also reports what is stored and what is kept, by node.
func BenchmarkDecode(b *testing.B) {
	nodes := size(b)
	img := large(b, nodes).Still()
	var file bytes.Buffer
	if _, err := snapshot.Encode(&file, img, snapshot.Mark{Sequence: img.Sequence}); err != nil {
		b.Fatal(err)
	}
	img = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var last *snapshot.Snapshot
	b.ReportAllocs()
	for b.Loop() {
		last = nil
		var err error
		if last, err = snapshot.Decode(bytes.NewReader(file.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(file.Len())/float64(nodes), "stored-B/node")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(nodes), "kept-B/node")
	runtime.KeepAlive(last)
}

// BenchmarkRestart reads the snapshot of a fleet that signs and folds ten
// thousand records behind it: what a planner does before it can decide.
func BenchmarkRestart(b *testing.B) {
	nodes := 10 * size(b)
	tail := make([]eventlog.Record, 10_000)
	state := large(b, nodes)
	mark := snapshot.Mark{Sequence: state.Sequence()}
	for i := range tail {
		id := fleet.NodeID(fmt.Sprintf("region/nyc/node-%07d", i*nodes/len(tail)+1))
		e := &events.Event{Type: events.TypeNodeLost, Node: id, Data: &events.NodeLost{Epoch: 1}}
		tail[i] = eventlog.Record{Sequence: mark.Sequence + uint64(i) + 1, Time: noon, Event: e}
	}
	var file bytes.Buffer
	if _, err := snapshot.Encode(&file, state.Still(), mark); err != nil {
		b.Fatal(err)
	}
	state = nil
	runtime.GC()
	for b.Loop() {
		s, err := snapshot.Decode(bytes.NewReader(file.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range tail {
			if _, err := snapshot.Fold(s.State, events.Subjects{}, r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(file.Len())/float64(nodes), "stored-B/node")
}
