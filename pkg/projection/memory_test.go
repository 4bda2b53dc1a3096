package projection_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// enrolment is how a node of a fleet comes to be present and to sign: two plans'
// actions with their outcomes, and three facts, with ids and texts of the size
// that fleets have. pem makes its certificate.
func enrolment(n int, random *rand.ChaCha8, pem func(int) string) []*events.Event {
	id := fleet.NodeID(fmt.Sprintf("edge/node-%07d", n))
	var b [96]byte
	_, _ = random.Read(b[:]) // never fails
	key, serial, nonce := fmt.Sprintf("sha256:%064x", b[:32]), fmt.Sprintf("%032x", b[32:48]), fmt.Sprintf("%032x", b[48:64])
	enroll, issue := fleet.ActionID(fmt.Sprintf("enroll-%020x", b[64:74])), fleet.ActionID(fmt.Sprintf("issue-%020x", b[74:84]))
	session := fmt.Sprintf("%026X", b[84:96])
	began := midnight.Add(time.Duration(n) * 7 * time.Millisecond)
	list := []*events.Event{
		{Type: events.TypeOfAction(fleet.EnrollNode), Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: enroll, Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeNodeAppeared, Data: &events.NodeAppeared{Epoch: 1, Session: session, KeyFingerprint: key}},
		{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Type: fleet.EnrollNode, ID: id, Action: enroll}},
		{Type: events.TypeOfAction(fleet.IssueCredential), Data: &events.ActionRequested{Type: fleet.IssueCredential, ID: id, Action: issue, Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeCredentialIssued, Data: &events.CredentialIssued{
			Epoch: 1, Serial: serial, Nonce: nonce, KeyFingerprint: key, Issuer: "sha256:" + serial + serial,
			NotBefore: began.Truncate(time.Second), NotAfter: began.Truncate(time.Second).Add(24 * time.Hour), CertificatePEM: pem(n),
		}},
		{Type: events.TypeCredentialProved, Data: &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: nonce}},
		{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Type: fleet.IssueCredential, ID: id, Action: issue}},
	}
	for _, e := range list {
		e.Node = id
		if d, ok := e.Data.(*events.CredentialIssued); ok {
			d.Issuer = "sha256:" + issuerDigits
		}
	}
	return list
}

const issuerDigits = "9f2c5b0a41d37e6688c19f2c5b0a41d37e6688c19f2c5b0a41d37e6688c1aabb"

func noText(int) string { return "" }

// BenchmarkMemory reports what a fleet that is present and signs takes of memory,
// and how fast it is folded, by node.
func BenchmarkMemory(b *testing.B) {
	nodes := 1_000_000
	if s := os.Getenv("BENCH_NODES"); s != "" {
		nodes, _ = strconv.Atoi(s)
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, random := projection.New(), rand.NewChaCha8([32]byte{})
		for n := range nodes {
			for i, e := range enrolment(n, random, noText) {
				if _, err := s.Apply(s.Sequence()+1, midnight.Add(time.Duration(7*n+i)*time.Millisecond+123456), e); err != nil {
					b.Fatal(err)
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(nodes), "B/node")
		if _, present, signing := s.Counts(); present != nodes || signing != nodes {
			b.Fatal(present, signing)
		}
	}
}
