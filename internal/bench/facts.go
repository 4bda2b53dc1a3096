package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// life makes the facts of one node. The fold reads neither certificates nor
// signatures, which the border has judged: of those only the size counts, and it
// is that of real ones.
type life struct {
	id     fleet.NodeID
	key    string
	issued int // credentials so far
	at     time.Time
}

// Bytes of a leaf certificate as PEM, and of the proof of one.
const (
	certificateSize = 650
	proofSize       = 470
)

var (
	certificate = strings.Repeat("c", certificateSize)
	proof       = []byte(strings.Repeat("p", proofSize))
	issuer      = fingerprint("issuer")
)

func newLife(i int, at time.Time) *life {
	id := nodeID(i)
	return &life{id: id, key: fingerprint(string(id)), at: at}
}

func fingerprint(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// words of 32 hexadecimal digits, as serials and nonces are.
func (l *life) word(kind string) string {
	sum := sha256.Sum256(fmt.Append(nil, l.id, kind, l.issued))
	return hex.EncodeToString(sum[:16])
}

func (l *life) event(source string, data events.Payload, kind events.Type) *events.Event {
	return &events.Event{ID: l.word(string(kind)), Source: source, Type: kind, Node: l.id, Time: l.at, Data: data}
}

func (l *life) appeared() *events.Event {
	return l.event(events.SourcePlanner, &events.NodeAppeared{Epoch: 1, Session: l.word("session"), KeyFingerprint: l.key}, events.TypeNodeAppeared)
}

func (l *life) lost() *events.Event {
	return l.event(events.SourcePlanner, &events.NodeLost{Epoch: 1, Reason: "lease_expired"}, events.TypeNodeLost)
}

func (l *life) issue() *events.Event {
	l.issued++
	return l.event(events.SourceExecutor, &events.CredentialIssued{
		Epoch: 1, Action: "issue-0123456789abcdef0123", Serial: l.word("serial"), Nonce: l.word("nonce"), KeyFingerprint: l.key,
		NotBefore: l.at, NotAfter: l.at.AddDate(1, 0, 0), Issuer: issuer, CertificatePEM: certificate,
	}, events.TypeCredentialIssued)
}

func (l *life) prove() *events.Event {
	e := l.event("spiffe://bench.example/"+string(l.id), &events.CredentialProved{Epoch: 1, Serial: l.word("serial"), Nonce: l.word("nonce")}, events.TypeCredentialProved)
	e.DSSEMaterial = proof
	return e
}

func (l *life) expire() *events.Event {
	return l.event(events.SourcePlanner, &events.CredentialExpired{Epoch: 1, Serial: l.word("serial"), NotAfter: l.at.AddDate(1, 0, 0)}, events.TypeCredentialExpired)
}

// lives are n nodes of which the facts say that they are present, and that they
// sign if signing is true.
func lives(n int, signing bool) (all []*life, facts []*events.Event) {
	at := time.Now().UTC().Truncate(time.Millisecond)
	for i := range n {
		l := newLife(i, at)
		all = append(all, l)
		facts = append(facts, l.appeared())
		if signing {
			facts = append(facts, l.issue(), l.prove())
		}
	}
	return all, facts
}

// history is a log of n facts about nodes that appear, renew their credentials,
// and are lost now and then.
func history(nodes, n int) []*events.Event {
	all, facts := lives(nodes, true)
	for i := 0; len(facts) < n; i++ {
		l := all[i%nodes]
		if i%10 == 9 {
			facts = append(facts, l.lost(), l.appeared())
		} else {
			facts = append(facts, l.issue(), l.prove())
		}
	}
	return facts[:n]
}
