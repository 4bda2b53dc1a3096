package agent

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// Speaker makes what a node says to the fleet. It has no folder, connection or
// goroutine: an Agent speaks through one, and so does a simulation of many nodes.
type Speaker struct {
	Node fleet.NodeID
	// Key of the node and its identity.Fingerprint.
	Key         crypto.Signer
	Fingerprint string
	// Session is drawn at each start of the node.
	Session string
	// Count of the events made in the session, for their ids.
	Count *atomic.Uint64
	Now   func() time.Time
}

// Event makes an event of this node. Ids differ from event to event: what is
// said again is said anew, and no store takes it for a repetition.
func (s Speaker) Event(t events.Type, source string, data events.Payload) *events.Event {
	n := strconv.FormatUint(s.Count.Add(1), 10)
	return &events.Event{
		ID:     events.NewID(string(t), string(s.Node), s.Session, n),
		Source: source, Type: t, Node: s.Node, Time: s.Now().UTC(), Data: data,
	}
}

// Holding is what a heartbeat names of what the node holds; each may be empty.
type Holding struct {
	Serial, PendingSerial string
	Bundle                string
}

// Heartbeat renews the lease, or says farewell. A lease has whole seconds.
func (s Speaker) Heartbeat(lease time.Duration, holding Holding, leaving bool) *events.Event {
	return s.Event(events.TypeNodeHeartbeat, events.NodeSource(s.Node), &events.Heartbeat{
		Session:        s.Session,
		LeaseSeconds:   int(lease / time.Second),
		KeyFingerprint: s.Fingerprint,
		Serial:         holding.Serial,
		PendingSerial:  holding.PendingSerial,
		Leaving:        leaving,
		Bundle:         holding.Bundle,
	})
}

// Evidence shows who the node is, as attest.Provers.Prove does.
type Evidence func(ctx context.Context, kind fleet.Attestor, c attest.Challenge) (*attest.Evidence, error)

// CertificateRequest fills the answer with a certificate request and the evidence
// that vouches for it.
func (s Speaker) CertificateRequest(ctx context.Context, d *events.CertificateRequested, evidence Evidence, answered *events.CommandAnswered) error {
	csr, err := identity.NewCSR(s.Key)
	if err != nil {
		return err
	}
	answered.CSRPEM = string(csr)
	answered.Evidence, err = evidence(ctx, d.Attestor, attest.Challenge{
		TrustDomain: d.TrustDomain, Node: s.Node, Nonce: d.Nonce, CSRPEM: answered.CSRPEM, KeyFingerprint: s.Fingerprint,
	})
	if err != nil {
		return fmt.Errorf("make evidence: %w", err)
	}
	return nil
}

// Check says why d is not this node's credential for its own key.
func (s Speaker) Check(d *events.CredentialDelivered) error {
	return checkCredential(d, s.Node, s.Fingerprint, s.Now())
}

// Proof answers the challenge of a credential with the node's key.
func (s Speaker) Proof(d *events.CredentialDelivered) (*events.Event, error) {
	source, err := identity.SPIFFEID(d.TrustDomain, s.Node)
	if err != nil {
		return nil, fmt.Errorf("name own identity: %w", err)
	}
	e := s.Event(events.TypeCredentialProved, source, &events.CredentialProved{Epoch: d.Epoch, Serial: d.Serial, Nonce: d.Nonce})
	return e, proof.SignEvent(s.Key, e)
}

// RenewalRequest is signed with the key of the credential in use, which is what
// lets an issuer believe it. pending may be nil.
func (s Speaker) RenewalRequest(held, pending *events.CredentialDelivered) (*events.Event, error) {
	csr, err := identity.NewCSR(s.Key)
	if err != nil {
		return nil, err
	}
	source, err := identity.SPIFFEID(held.TrustDomain, s.Node)
	if err != nil {
		return nil, fmt.Errorf("name own identity: %w", err)
	}
	data := &events.RenewalRequested{Epoch: held.Epoch, Serial: held.Serial, CSRPEM: string(csr), Nonce: rand.Text()}
	if pending != nil {
		data.PendingSerial = pending.Serial
	}
	e := s.Event(events.TypeRenewalRequested, source, data)
	return e, proof.SignEvent(s.Key, e)
}

// RenewalDue is when a credential is to be renewed; random in [0, 1) spreads the
// nodes of a fleet over the first third of the time that is left from when it may
// be: the rest is for trying again. It is zero for a certificate that cannot be read.
func RenewalDue(c *events.CredentialDelivered, random float64) time.Time {
	from, until, ok := validity(c)
	if !ok {
		return time.Time{}
	}
	due := identity.RenewFrom(from, until, time.Duration(c.RenewBeforeSeconds)*time.Second)
	spread := max(until.Add(-identity.SkewMargin).Sub(due)/3, 0)
	return due.Add(time.Duration(random * float64(spread)))
}

// BundleDigestOf is what heartbeats name a published trust bundle by.
func BundleDigestOf(text []byte) (string, error) {
	b, err := readBundle(anyDomain, text)
	if err != nil {
		return "", fmt.Errorf("read trust bundle: %w", err)
	}
	return b.digest, nil
}
