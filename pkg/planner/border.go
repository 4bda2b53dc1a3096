package planner

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// Why the border refuses a statement, besides the reasons of events and identity.
const (
	// RefusedNoChallenge: nothing was issued to that node that this would answer.
	RefusedNoChallenge fleet.Reason = "no_such_challenge"
	// RefusedSource: the source is not the node's SPIFFE ID.
	RefusedSource fleet.Reason = "source_mismatch"
	// RefusedUnreadable: a message that is no event of a known type.
	RefusedUnreadable = eventlog.ReasonUnreadable
)

// sense takes in what the lease stream said. A stream that begins anew, after
// the server lost its memory, says nothing about who is not on it yet: then
// watching begins anew too. It reports whether anything was news.
func (p *Planner) sense(s sighted) (news bool) {
	settled, read, refused := p.sensor.settled(), p.leasesRead, false
	if !s.caughtUp && p.sensor.caughtUp {
		p.sensor.loseSight()
		p.Logger.Warn().Msg("lost sight of the leases, watching anew")
	}
	for _, sighting := range s.seen {
		if sighting.Err != nil {
			refused = true
			p.refuse("presence", sighting.Node, sighting.Err)
			p.sensor.veil(sighting.Node, p.Now())
			continue
		}
		p.sensor.see(sighting)
	}
	p.leasesRead = s.caughtUp
	return refused || !p.sensor.agenda.empty() || p.sensor.settled() != settled || p.leasesRead != read
}

// senseAll takes in what has come by now, so that what many nodes say at once is
// one append and one decision.
func (p *Planner) senseAll(s sighted, more <-chan sighted) (news bool) {
	for range sightingsAhead {
		news = p.sense(s) || news
		select {
		case s = <-more:
		default:
			return news
		}
	}
	return p.sense(s) || news
}

// watch begins to watch once all leases were read. It needs a fold of the whole
// log, for on a shorter one nobody would be missed; after an outage the view may
// come back later than the leases.
func (p *Planner) watch(ctx context.Context) error {
	if !p.leasesRead || p.sensor.caughtUp {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := p.View.CatchUp(ctx); err != nil {
		return fmt.Errorf("catch up before watching leases: %w", err)
	}
	p.View.Read(func(st *projection.State) { p.sensor.beginWatch(st, p.Now()) })
	p.Logger.Info().Int(field.Unseen, len(p.sensor.unseen)).Dur(field.Lease, p.sensor.lease).Msg("watching leases")
	return nil
}

// hear checks what nodes said of their credentials, on a fold that is at least
// as new as the statements: the challenge they answer was on the log before.
// When the bus fails meanwhile the statements are dropped: a node is handed its
// challenge again, and repeats its proof, until the log has it.
func (p *Planner) hear(ctx context.Context, statements []eventlog.Statement) error {
	if err := p.View.CatchUp(ctx); err != nil {
		return p.tolerate(ctx, fmt.Errorf("catch up before statements: %w", err))
	}
	for _, s := range statements {
		if s.Err != nil {
			p.refuse("credential", s.Node, s.Err)
			continue
		}
		refusal, err := p.admit(ctx, s.Event)
		if err != nil {
			return p.tolerate(ctx, err)
		}
		if refusal != nil {
			p.refuse("credential", s.Event.Node, refusal)
		}
	}
	return nil
}

// admit verifies one statement and, if it holds, puts it on its way to the log.
// The refusal is the node's fault, the error is not.
func (p *Planner) admit(ctx context.Context, e *events.Event) (refusal, err error) {
	d, ok := e.Data.(*events.CredentialProved)
	if !ok {
		return &events.Refusal{Reason: events.ReasonUnknownType, Detail: fmt.Sprintf("a node may not state %s", e.Type)}, nil
	}
	var n projection.Node
	var roots [][]byte
	var digest string
	var retired bool
	p.View.Read(func(st *projection.State) {
		n, _ = st.Node(e.Node)
		retired = n.Issued != nil && n.Issued.Issuer != "" && !st.KnowsIssuer(n.Issued.Issuer)
		roots, digest = st.Trust(), st.Inventory().Digest
	})
	if n.Proved != nil && n.Proved.Serial == d.Serial {
		return nil, nil // repeated, because the answer did not reach it in time
	}
	if !answers(n, e) || digest == "" {
		return &events.Refusal{Reason: RefusedNoChallenge, Detail: "no credential with that serial, nonce and epoch waits for proof"}, nil
	}
	if retired {
		return &events.Refusal{Reason: identity.CertificateRevoked, Detail: "its issuer " + n.Issued.Issuer + " is retired"}, nil
	}
	inv, err := p.Inventories.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory in force: %w", err)
	}
	text, err := p.challenges.text(ctx, p.Log, n.Issued)
	if err != nil {
		return nil, fmt.Errorf("get certificate of node %s: %w", e.Node, err)
	}
	if refusal := p.verify(e, text, roots, inv.TrustDomain, p.desired(inv).Region(e.Node)); refusal != nil {
		return refusal, nil
	}
	p.sensor.proofs[e.Node] = e
	p.sensor.agenda.add(e.Node)
	return nil, nil
}

// verify asks about the region of the inventory in force: a node that was moved
// keeps the credential that it has proved, and proves its next one by the
// intermediate of its new region.
func (p *Planner) verify(e *events.Event, certificate []byte, roots [][]byte, trustDomain, region string) error {
	leaf, err := identity.Verification{
		Roots: roots, TrustDomain: trustDomain, Node: e.Node, Region: region, Now: p.Now(),
	}.Leaf(certificate)
	if err != nil {
		return err
	}
	if want := leaf.URIs[0].String(); e.Source != want {
		return &events.Refusal{Reason: RefusedSource, Detail: fmt.Sprintf("source is %q, the certificate names %q", e.Source, want)}
	}
	return proof.VerifyEvent(e, leaf.PublicKey)
}

// reasonOf is the reason of a refusal as a label.
func reasonOf(err error) fleet.Reason {
	if reason := fleet.ReasonOf(err); reason != "" {
		return reason
	}
	return RefusedUnreadable
}

// refuse counts and reports what did not hold, and has it told on the log; it
// harms nobody else.
func (p *Planner) refuse(channel string, id fleet.NodeID, err error) {
	reason := reasonOf(err)
	p.Metrics.refused.WithLabelValues(channel, string(reason)).Inc()
	p.Logger.Warn().Str(field.Channel, channel).Str(field.Node, string(id)).Str(field.Reason, string(reason)).Err(err).Msg("refused a message")
	p.refusals.Add(channel, id, err)
}

// appendFacts stores what the sensor concludes; it reports whether it stored anything.
func (p *Planner) appendFacts(ctx context.Context) (bool, error) {
	var entries []eventlog.Entry
	var looked []fleet.NodeID
	p.View.Read(func(st *projection.State) {
		p.sensor.folded(st, p.touched.take(), p.Now())
		entries, looked = p.sensor.conclude(st, p.Now())
	})
	if len(entries) == 0 {
		p.noteSettled() // only now: whoever is lost is on the log
		return false, nil
	}
	last, err := p.Log.Append(ctx, entries...)
	if err != nil {
		p.sensor.undo(looked)
		p.keepProofs(entries)
		return false, fmt.Errorf("append %d facts: %w", len(entries), err)
	}
	p.awaiting = last
	for _, e := range entries {
		p.Metrics.facts.WithLabelValues(string(e.Event.Type)).Inc()
		p.Logger.Info().Str(field.Type, string(e.Event.Type)).Str(field.Node, string(e.Event.Node)).Msg("fact")
	}
	return true, nil
}

// keepProofs puts proofs back that a lost race kept from the log.
func (p *Planner) keepProofs(entries []eventlog.Entry) {
	for _, e := range entries {
		if e.Event.Type == events.TypeCredentialProved {
			p.sensor.proofs[e.Event.Node] = e.Event
		}
	}
}

func (p *Planner) noteSettled() {
	select {
	case <-p.settled:
	default:
		if p.sensor.settled() {
			close(p.settled)
			p.Logger.Info().Msg("settled: every node that the log calls present was seen or is lost")
		}
	}
}
