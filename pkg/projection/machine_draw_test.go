package projection_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var subjects = events.DefaultSubjects()

// blank is the payload that belongs to a type; a new type needs a row here.
func blank(t events.Type) events.Payload {
	switch t {
	case events.TypeInventoryApplied:
		return &events.InventoryApplied{}
	case events.TypeTrustPublished:
		return &events.TrustPublished{}
	case events.TypeTrustDelegated:
		return &events.TrustDelegated{}
	case events.TypeTrustRotationRequested:
		return &events.TrustRotationRequested{}
	case events.TypeTrustRotationHeld:
		return &events.TrustRotationHeld{}
	case events.TypeTrustActivated:
		return &events.TrustActivated{}
	case events.TypeTrustRetired:
		return &events.TrustRetired{}
	case events.TypeNodeBundleReported:
		return &events.NodeBundleReported{}
	case events.TypeNodeAppeared:
		return &events.NodeAppeared{}
	case events.TypeNodeLost:
		return &events.NodeLost{}
	case events.TypeNodeLeft:
		return &events.NodeLeft{}
	case events.TypeNodeRemoved:
		return &events.NodeRemoved{}
	case events.TypeCredentialIssued:
		return &events.CredentialIssued{}
	case events.TypeCredentialProved:
		return &events.CredentialProved{}
	case events.TypeCredentialExpired:
		return &events.CredentialExpired{}
	case events.TypeCredentialRevoked:
		return &events.CredentialRevoked{}
	case events.TypeEnforcementEnabled:
		return &events.EnforcementEnabled{}
	case events.TypeEnforcementDisabled:
		return &events.EnforcementDisabled{}
	case events.TypePlanDecided:
		return &events.PlanDecided{}
	case events.TypePlanApproved:
		return &events.PlanApproved{}
	case events.TypeControlPaused:
		return &events.ControlPaused{}
	case events.TypeControlResumed:
		return &events.ControlResumed{}
	case events.TypeMessageRefused:
		return &events.MessageRefused{}
	case events.TypeCheckpointSigned:
		return &events.CheckpointSigned{}
	case events.TypeRotationRequested:
		return &events.RotationRequested{}
	case events.TypeRetryRequested:
		return &events.RetryRequested{}
	case events.TypePartitionApplied:
		return &events.PartitionApplied{}
	case events.TypeActionSucceeded:
		return &events.ActionSucceeded{}
	case events.TypeActionFailed:
		return &events.ActionFailed{}
	case events.TypeActionRefused:
		return &events.ActionRefused{}
	}
	if t.IsAction() {
		return &events.ActionRequested{}
	}
	if d, known := events.Describe(t); known && d.Channel > events.ChannelAction {
		return &events.Heartbeat{}
	}
	panic(fmt.Sprintf("the oracle knows no payload of %q", t))
}

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// mostly is true five times of six.
func mostly(t *rapid.T, label string) bool { return rapid.IntRange(0, 5).Draw(t, label) > 0 }

// draw makes an event of a type. It draws from few names, and mostly what the
// state of the log makes count: by chance alone events seldom meet.
func (m *foldMachine) draw(t *rapid.T, kind events.Type) *events.Event {
	id := pick(t, "node", lawIDs...)
	e := &events.Event{Type: kind, Node: id, Data: blank(kind)}
	switch d := e.Data.(type) {
	case *events.NodeAppeared:
		*d = events.NodeAppeared{Epoch: m.epochFor(t, id), Session: pick(t, "session", "s1", "s2"), KeyFingerprint: pick(t, "key", "k1", "k1", "k2")}
	case *events.NodeLost:
		d.Epoch = m.epochFor(t, id)
	case *events.NodeLeft:
		d.Epoch = m.epochFor(t, id)
	case *events.NodeRemoved:
		d.Epoch = m.epochFor(t, id)
	case *events.CredentialIssued:
		m.drawIssued(t, id, d)
	case *events.NodeBundleReported:
		*d = events.NodeBundleReported{Epoch: m.epochFor(t, id), Digest: pick(t, "digest", "", "b1", "b2")}
	case *events.CredentialProved:
		d.Epoch = m.epochFor(t, id)
		d.Serial, d.Nonce = m.challengeOf(t, id)
	case *events.CredentialExpired:
		d.Epoch = m.epochFor(t, id)
		d.Serial, _ = m.challengeOf(t, id)
	case *events.CredentialRevoked:
		d.Epoch = m.epochFor(t, id)
		d.Serial, _ = m.challengeOf(t, id)
	case *events.ActionRequested:
		m.drawAction(t, e, d)
	default:
		e.Node = ""
		m.drawOfFleet(t, e)
	}
	return e
}

// drawIssued mostly gives a certificate with a serial of its own, as issuers see
// to; else it repeats the newest, whatever text stands there.
func (m *foldMachine) drawIssued(t *rapid.T, id fleet.NodeID, d *events.CredentialIssued) {
	if n, ok := m.log.node(id); ok && n.Issued != nil && !mostly(t, "another certificate") {
		c := n.Issued
		*d = events.CredentialIssued{
			Epoch: c.Epoch, Serial: c.Serial, Nonce: c.Nonce, KeyFingerprint: c.KeyFingerprint, Issuer: c.Issuer,
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, CertificatePEM: pick(t, "pem", "p", "q"),
		}
		return
	}
	*d = events.CredentialIssued{
		Epoch: m.epochFor(t, id), Serial: m.serial(), Nonce: pick(t, "nonce", "x", "y"), Issuer: pick(t, "issuer", "", "r1", "i1"),
		KeyFingerprint: pick(t, "key", "k1", "k1", "k2"), CertificatePEM: pick(t, "pem", "p", "q"),
		NotAfter: storedAt(uint64(pick(t, "ends", 900, 900, len(m.log)+5, len(m.log)+20, 0))),
	}
}

// serial is one that was never given.
func (m *foldMachine) serial() string { return fmt.Sprintf("a%d", len(m.log)) }

// drawOfFleet fills the payloads that are not about one node.
func (m *foldMachine) drawOfFleet(t *rapid.T, e *events.Event) {
	action := func() fleet.ActionID { return pick(t, "action", m.someActions()...) }
	switch d := e.Data.(type) {
	case *events.InventoryApplied:
		higher := m.log.inventory().Generation + 1
		*d = events.InventoryApplied{Digest: pick(t, "digest", "d1", "d2"), Generation: pick(t, "generation", higher, higher, 0, 1, 2), Actor: "ann", Note: "n"}
	case *events.TrustPublished:
		d.CertificatePEM = pick(t, "root", "r1", "r2", "r3")
	case *events.TrustDelegated: // the oracle knows one line of issuers only
		d.TrustDomain, d.Region = "elsewhere", "r"
	case *events.TrustRotationRequested:
		*d = events.TrustRotationRequested{Step: pick(t, "step", events.RotationPrepare, events.RotationActivate, events.RotationRetire), TrustDomain: "elsewhere"}
	case *events.TrustActivated:
		d.TrustDomain = "elsewhere"
	case *events.TrustRetired:
		d.TrustDomain = "elsewhere"
	case *events.EnforcementEnabled:
		d.Action = pick[fleet.ActionID](t, "by", "f1", "f2")
	case *events.EnforcementDisabled:
		d.Action = pick[fleet.ActionID](t, "by", "f1", "f2")
	case *events.PlanDecided:
		m.drawPlan(t, d)
	case *events.PartitionApplied:
		*d = events.PartitionApplied{Partition: drawPartition(t), Actor: "kim", Note: pick(t, "note", "", "storm")}
	case *events.PlanApproved:
		in := m.log.inventory().Sequence
		*d = events.PlanApproved{Approval: pick[fleet.ApprovalID](t, "approval", "r1", "r2"), Actor: pick(t, "actor", "kim", "lee"),
			Basis: rapid.Uint64Range(in-min(in, 1), m.state.Sequence()+2).Draw(t, "basis")}
	case *events.ControlPaused:
		*d = events.ControlPaused{Target: drawTarget(t), Actor: pick(t, "actor", "kim", "lee"), Note: pick(t, "note", "", "storm")}
		e.Node = d.ID
	case *events.ControlResumed:
		*d = events.ControlResumed{Target: drawTarget(t), Actor: "kim"}
		e.Node = d.ID
	case *events.MessageRefused:
		e.Node = pick(t, "node", "", lawIDs[0])
		*d = events.MessageRefused{Channel: "credential", Node: e.Node, Reason: "proof_signature", Detail: "x", Count: 1}
	case *events.CheckpointSigned:
		*d = events.CheckpointSigned{Size: 1, Note: "note", Frontier: []string{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}
	case *events.RotationRequested:
		*d = events.RotationRequested{Target: drawTarget(t), RatePerSecond: pick(t, "rate", 1, 1, 0.5, 2, 0), Actor: "kim", Note: pick(t, "note", "", "storm")}
		e.Node = d.ID
	case *events.RetryRequested:
		m.drawRetry(t, e, d)
	case *events.ActionSucceeded:
		d.Action = action()
	case *events.ActionFailed:
		*d = events.ActionFailed{Action: action(), Reason: "timeout", Detail: pick(t, "detail", "", "no answer")}
	case *events.ActionRefused:
		*d = events.ActionRefused{Action: action(), Reason: "no_longer_wanted"}
	}
}

var targets = []fleet.Target{
	{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: "a"}, {Scope: fleet.ScopeRegion, Region: "b"},
	{Scope: fleet.ScopeNode, ID: "n1"}, {Scope: fleet.ScopeNode, ID: "n2"},
}

func drawTarget(t *rapid.T) fleet.Target { return pick(t, "target", targets...) }

func (m *foldMachine) epochFor(t *rapid.T, id fleet.NodeID) uint64 {
	if mostly(t, "present epoch") {
		return m.log.epoch(id)
	}
	return rapid.Uint64Range(0, 3).Draw(t, "epoch")
}

func (m *foldMachine) challengeOf(t *rapid.T, id fleet.NodeID) (serial, nonce string) {
	if n, ok := m.log.node(id); ok && n.Issued != nil && mostly(t, "right answer") {
		return n.Issued.Serial, n.Issued.Nonce
	}
	serials := []string{"a1", "a2"}
	for _, issued := range m.log.of(events.TypeCredentialIssued) {
		if issued.event.Node == id {
			serials = append(serials, issued.event.Data.(*events.CredentialIssued).Serial)
		}
	}
	return pick(t, "serial", serials...), pick(t, "nonce", "x", "y")
}

// drawAction is mostly the next attempt, under an id of its own.
func (m *foldMachine) drawAction(t *rapid.T, e *events.Event, d *events.ActionRequested) {
	*d = events.ActionRequested{ID: e.Node, Generation: rapid.Uint64Range(0, 3).Draw(t, "generation")}
	for _, kind := range fleet.ActionTypes {
		if events.TypeOfAction(kind) == e.Type {
			d.Type = kind
		}
	}
	if !d.Type.ConcernsNode() {
		e.Node, d.ID = "", ""
	}
	d.Epoch = m.epochFor(t, d.ID)
	past := m.log.attempts(fleet.Action{Type: d.Type, ID: d.ID}, m.log.trips())
	d.Attempt = past.Published + pick(t, "attempt", 1, 1, 1, 0, 2, -past.Published)
	if mostly(t, "same generation") {
		d.Generation = past.Generation
	}
	d.Action = pick(t, "id", fleet.ActionID(fmt.Sprintf("%s-%s-%d-%d-%d", e.Type, d.ID, d.Epoch, d.Generation, d.Attempt)), "e1")
	if mostly(t, "in a plan") {
		e.Step = &events.Step{Plan: "p1", Step: 1, Steps: 2, Basis: m.state.Sequence()}
	}
}

// someActions are mostly those in flight.
func (m *foldMachine) someActions() []fleet.ActionID {
	ids := []fleet.ActionID{"e1", "never"}
	for _, trip := range m.log.trips() {
		ids = append(ids, trip.ID)
		if trip.end == nil {
			ids = append(ids, trip.ID, trip.ID)
		}
	}
	return ids
}

// drawRetry mostly names the newest attempt at a need.
func (m *foldMachine) drawRetry(t *rapid.T, e *events.Event, d *events.RetryRequested) {
	need := pick(t, "need", needs(lawIDs)...)
	past := m.log.attempts(need, m.log.trips())
	*d = events.RetryRequested{
		Type: need.Type, ID: need.ID, Action: "a", Attempt: past.Published + pick(t, "of attempt", 0, 0, 0, 0, 1, -1),
		Epoch: past.Epoch + pick[uint64](t, "of epoch", 0, 0, 0, 0, 1), Generation: past.Generation + pick[uint64](t, "of generation", 0, 0, 0, 0, 1), Actor: "kim",
	}
	e.Node = need.ID
}
