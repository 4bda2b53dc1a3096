package projection_test

import (
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The stories, the tables and the laws of this package write an event as one
// line: a verb, whom it concerns, and what differs from the defaults. So
//
//	issued n1 serial=a1 nonce=x epoch=2
//
// is a credential.issued of n1. Lines that begin with "#" are remarks.

// line is one event as the tests write it.
type line struct {
	verb, who string
	with      map[string]string
}

func parseLine(text string) line {
	l := line{with: make(map[string]string)}
	for i, word := range strings.Fields(text) {
		key, value, pair := strings.Cut(word, "=")
		switch {
		case i == 0:
			l.verb = word
		case pair:
			l.with[key] = value
		default:
			l.who = word
		}
	}
	return l
}

func (l line) text(key, otherwise string) string {
	if v, ok := l.with[key]; ok {
		return v
	}
	return otherwise
}

func (l line) number(key string) uint64 {
	n, err := strconv.ParseUint(l.text(key, "1"), 10, 32)
	if err != nil {
		panic(fmt.Sprintf("%s of %q: %v", key, l.verb, err))
	}
	return n
}

// event is nil for "unfit", a message that is no event.
func (l line) event() *events.Event {
	if l.verb == "unfit" {
		return nil
	}
	if e := l.nodeFact(); e != nil {
		return e
	}
	if e := l.fleetFact(); e != nil {
		return e
	}
	if e := l.outcome(); e != nil {
		return e
	}
	return l.action()
}

func (l line) nodeFact() *events.Event {
	epoch, serial, nonce := l.number("epoch"), l.text("serial", "a1"), l.text("nonce", "x")
	of := func(t events.Type, d events.Payload) *events.Event {
		return &events.Event{Type: t, Node: fleet.NodeID(l.who), Data: d}
	}
	switch l.verb {
	case "appeared":
		return of(events.TypeNodeAppeared, &events.NodeAppeared{Epoch: epoch, Session: l.text("session", "s1"), KeyFingerprint: l.text("key", "k1")})
	case "lost":
		return of(events.TypeNodeLost, &events.NodeLost{Epoch: epoch})
	case "left":
		return of(events.TypeNodeLeft, &events.NodeLeft{Epoch: epoch})
	case "removed":
		return of(events.TypeNodeRemoved, &events.NodeRemoved{Epoch: epoch})
	case "issued":
		return of(events.TypeCredentialIssued, &events.CredentialIssued{
			Epoch: epoch, Serial: serial, Nonce: nonce, KeyFingerprint: l.text("key", "k1"), Issuer: l.text("issuer", ""), NotAfter: l.ends(),
		})
	case "bundle":
		return of(events.TypeNodeBundleReported, &events.NodeBundleReported{Epoch: epoch, Digest: bundleOf(l.text("roots", ""))})
	case "proved":
		return of(events.TypeCredentialProved, &events.CredentialProved{Epoch: epoch, Serial: serial, Nonce: nonce})
	case "expired":
		return of(events.TypeCredentialExpired, &events.CredentialExpired{Epoch: epoch, Serial: serial})
	case "revoked":
		return of(events.TypeCredentialRevoked, &events.CredentialRevoked{Epoch: epoch, Serial: serial})
	case "heartbeat":
		return of(events.TypeNodeHeartbeat, &events.Heartbeat{})
	}
	return nil
}

func (l line) fleetFact() *events.Event {
	by := fleet.ActionID(l.text("action", "flip"))
	switch l.verb {
	case "inventory":
		return &events.Event{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: l.who, Generation: l.number("generation"), Actor: "ann"}}
	case "trust":
		return &events.Event{Type: events.TypeTrustPublished, Data: &events.TrustPublished{CertificatePEM: l.who}}
	case "root", "intermediate", "request", "held", "activated", "retired":
		return l.issuerFact()
	case "enabled":
		return &events.Event{Type: events.TypeEnforcementEnabled, Data: &events.EnforcementEnabled{Action: by}}
	case "disabled":
		return &events.Event{Type: events.TypeEnforcementDisabled, Data: &events.EnforcementDisabled{Action: by}}
	case "approved":
		return &events.Event{Type: events.TypePlanApproved, Data: &events.PlanApproved{Approval: fleet.ApprovalID(l.who), Basis: l.number("basis"), Actor: "kim"}}
	case "paused":
		t := l.target()
		return &events.Event{Type: events.TypeControlPaused, Node: t.ID, Data: &events.ControlPaused{Target: t, Actor: l.text("actor", "kim"), Note: l.text("note", "")}}
	case "resumed":
		t := l.target()
		return &events.Event{Type: events.TypeControlResumed, Node: t.ID, Data: &events.ControlResumed{Target: t, Actor: "kim"}}
	case "border":
		return &events.Event{Type: events.TypeMessageRefused, Node: fleet.NodeID(l.who), Data: &events.MessageRefused{Channel: "presence", Node: fleet.NodeID(l.who), Reason: "schema", Detail: "x", Count: 1}}
	case "checkpoint":
		return &events.Event{Type: events.TypeCheckpointSigned, Data: &events.CheckpointSigned{Size: l.number("size"), Note: "x"}}
	case "rotate":
		t := l.target()
		return &events.Event{Type: events.TypeRotationRequested, Node: t.ID, Data: &events.RotationRequested{Target: t, RatePerSecond: 5, Actor: "kim"}}
	case "retry":
		return l.retry()
	case "plan":
		return l.plan()
	case "partition":
		return &events.Event{Type: events.TypePartitionApplied, Data: &events.PartitionApplied{Partition: l.partition(), Actor: "kim"}}
	}
	return nil
}

// issuerFact is as in "root r1", "intermediate i1 region=nyc of=r1",
// "request activate region=nyc", "held activate why=r nodes=n1", "retired r1".
func (l line) issuerFact() *events.Event {
	of := func(t events.Type, d events.Payload) *events.Event { return &events.Event{Type: t, Data: d} }
	domain, region, step := l.text("domain", "d"), l.text("region", ""), events.RotationStep(l.who)
	switch l.verb {
	case "root":
		return of(events.TypeTrustPublished, &events.TrustPublished{TrustDomain: domain, Fingerprint: l.who, CertificatePEM: l.text("pem", rootPEM(l.who))})
	case "intermediate":
		return of(events.TypeTrustDelegated, &events.TrustDelegated{
			TrustDomain: domain, Region: region, Fingerprint: l.who, Issuer: l.text("of", "r1"), Serial: "serial-" + l.who, NotAfter: l.ends(), CertificatePEM: l.who,
		})
	case "request":
		return of(events.TypeTrustRotationRequested, &events.TrustRotationRequested{Step: step, TrustDomain: domain, Region: region, Actor: "kim"})
	case "held":
		return of(events.TypeTrustRotationHeld, &events.TrustRotationHeld{Step: step, TrustDomain: domain, Region: region, Reason: fleet.Reason(l.text("why", "r"))})
	case "activated":
		return of(events.TypeTrustActivated, &events.TrustActivated{TrustDomain: domain, Region: region, Fingerprint: l.who})
	}
	return of(events.TypeTrustRetired, &events.TrustRetired{TrustDomain: domain, Region: region, Fingerprint: l.who})
}

// retry is as in "retry n1 of=issue attempt=2" and "retry of=enable".
func (l line) retry() *events.Event {
	need := fleet.Action{Type: verbs[l.text("of", "enroll")], ID: fleet.NodeID(l.who)}
	return &events.Event{Type: events.TypeRetryRequested, Node: need.ID, Data: &events.RetryRequested{
		Type: need.Type, ID: need.ID, Action: fleet.ActionID(l.text("action", "enroll-1")), Attempt: int(l.number("attempt")),
		Epoch: l.number("epoch"), Generation: l.number("generation"), Actor: "kim",
	}}
}

// rootPEM stands for a certificate: the digest of a bundle needs PEM.
func rootPEM(name string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(name)}))
}

// bundleOf is the digest of a bundle of roots, as in "r1,r2".
func bundleOf(names string) string {
	var texts [][]byte
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		texts = append(texts, []byte(rootPEM(name)))
	}
	return events.BundleDigest(texts...)
}

// ends is when a certificate ends, in seconds from midnight; without one it has
// ended long ago.
func (l line) ends() time.Time {
	if l.text("ends", "") == "" {
		return time.Time{}
	}
	return midnight.Add(time.Duration(l.number("ends")) * time.Second)
}

// target is as in "paused", "paused region=nyc" or "paused n1".
func (l line) target() fleet.Target {
	switch region := l.text("region", ""); {
	case region != "":
		return fleet.Target{Scope: fleet.ScopeRegion, Region: region}
	case l.who != "":
		return fleet.Target{Scope: fleet.ScopeNode, ID: fleet.NodeID(l.who)}
	}
	return fleet.Target{Scope: fleet.ScopeFleet}
}

// outcome names its action, as in "failed enroll-1".
func (l line) outcome() *events.Event {
	id := fleet.ActionID(l.who)
	switch l.verb {
	case "succeeded":
		return &events.Event{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: id}}
	case "failed":
		return &events.Event{Type: events.TypeActionFailed, Data: &events.ActionFailed{Action: id, Reason: "timeout", Detail: "no answer"}}
	case "refused":
		return &events.Event{Type: events.TypeActionRefused, Data: &events.ActionRefused{Action: id, Reason: "no_longer_wanted"}}
	}
	return nil
}

var verbs = map[string]fleet.ActionType{
	"enroll": fleet.EnrollNode, "issue": fleet.IssueCredential, "decommission": fleet.DecommissionNode,
	"disable": fleet.DisableStrictEnforcement, "enable": fleet.EnableStrictEnforcement,
}

// action is an action such as "enroll n1 action=enroll-1 attempt=2".
func (l line) action() *events.Event {
	t, ok := verbs[l.verb]
	if !ok {
		panic(fmt.Sprintf("unknown verb %q", l.verb))
	}
	return &events.Event{
		Type: events.TypeOfAction(t), Node: fleet.NodeID(l.who),
		Data: &events.ActionRequested{
			Type: t, ID: fleet.NodeID(l.who), Action: fleet.ActionID(l.text("action", l.verb+"-1")),
			Attempt: int(l.number("attempt")), Epoch: l.number("epoch"), Generation: l.number("generation"),
		},
		Step: &events.Step{Plan: fleet.PlanID(l.text("plan", "p1")), Step: 1, Steps: 1, Basis: 1},
	}
}

// midnight is the time of sequence 0; each sequence is stored a second later.
var midnight = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func storedAt(seq uint64) time.Time { return midnight.Add(time.Duration(seq) * time.Second) }

// apply folds the next event and fails the test on an error.
func apply(t testing.TB, s *projection.State, e *events.Event) projection.Change {
	t.Helper()
	seq := s.Sequence() + 1
	change, err := s.Apply(seq, storedAt(seq), e)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// lines are the events of a text.
func lines(text string) []string {
	var all []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			all = append(all, l)
		}
	}
	return all
}

// after is the state after the events of a text.
func after(t testing.TB, text string) *projection.State {
	t.Helper()
	s := projection.New()
	for _, l := range lines(text) {
		apply(t, s, parseLine(l).event())
	}
	return s
}
