package handlers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// Why a renewal is refused, besides the reasons of identity and events.
const (
	// RefusedStale: the request was made too long ago, or by a clock that is ahead.
	RefusedStale fleet.Reason = "request_stale"
	// RefusedReplayed: this request has been answered already.
	RefusedReplayed fleet.Reason = "request_replayed"
	// RefusedTooMany: more requests than are served.
	RefusedTooMany fleet.Reason = "too_many_requests"
	// RefusedNotDesired: the inventory in force does not name the node.
	RefusedNotDesired fleet.Reason = "not_desired"
	// RefusedEpoch: the request is of another life of the node's id.
	RefusedEpoch fleet.Reason = "wrong_epoch"
	// RefusedNoCredential: the log knows of none that the node has proved and
	// that still counts; it is issued one as a node without any.
	RefusedNoCredential fleet.Reason = "no_credential"
	// RefusedSource: the source is not the node's SPIFFE ID.
	RefusedSource fleet.Reason = "source_mismatch"
	// RefusedKey: the certificate request is for another key than the credential's.
	RefusedKey fleet.Reason = "key_mismatch"
	// RefusedTooEarly: the credential is not due, and no rotation asks for it.
	RefusedTooEarly fleet.Reason = "renewal_too_early"
	// RefusedSuperseded: what the node calls pending was never issued, or
	// something else since.
	RefusedSuperseded fleet.Reason = "renewal_superseded"
)

// claim is a request that was verified, and the fold it was verified on.
type claim struct {
	*events.RenewalRequested
	request   string // id of the event
	csr       *x509.CertificateRequest
	node      projection.Node
	last      uint64 // sequence on the node's subject
	rotation  bool   // asks for the renewal of what is proved
	inventory *fleet.Inventory
	desired   *fleet.Node
}

// claim verifies a request. The proof of possession of a credential that counts
// is all the evidence that a renewal needs: whoever was attested for that one
// is the same as whoever holds its key.
func (r *Renewer) claim(ctx context.Context, e *events.Event, d *events.RenewalRequested) (*claim, error) {
	if err := r.View.CatchUp(ctx); err != nil {
		return nil, fmt.Errorf("fold to the end of the log: %w", err)
	}
	var digest string
	var roots [][]byte
	r.View.Read(func(s *projection.State) { digest, roots = s.Inventory().Digest, s.Trust() })
	if digest == "" {
		return nil, &fleet.Refusal{Reason: RefusedNotDesired, Detail: "no inventory is in force"}
	}
	inventory, err := r.Inventories.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory %s: %w", digest, err)
	}
	desired, region := find(inventory, e.Node)
	if desired == nil {
		return nil, &fleet.Refusal{Reason: RefusedNotDesired, Detail: "the inventory in force does not name the node"}
	}
	c := &claim{RenewalRequested: d, request: e.ID, inventory: inventory, desired: desired}
	r.View.Read(func(s *projection.State) {
		c.node, _ = s.Node(e.Node)
		c.last = s.LastNode(e.Node)
		_, c.rotation = s.RotationDue(e.Node, region)
	})
	if err := c.checkLife(r.Now()); err != nil {
		return nil, err
	}
	// The certificate that signed the request stands where it was issued.
	proved, err := eventlog.IssuedAt(ctx, r.Log, c.node.Proved.Sequence)
	if err != nil {
		return nil, fmt.Errorf("get certificate of node %s: %w", e.Node, err)
	}
	return c, c.verify(e, proved.CertificatePEM, identity.Verification{
		Roots: roots, TrustDomain: inventory.TrustDomain, Node: e.Node, Region: region, Now: r.Now(),
	})
}

func find(inventory *fleet.Inventory, id fleet.NodeID) (node *fleet.Node, region string) {
	for i := range inventory.Regions {
		nodes := inventory.Regions[i].Nodes
		for n := range nodes {
			if nodes[n].ID == id {
				return &nodes[n], inventory.Regions[i].Name
			}
		}
	}
	return nil, ""
}

// checkLife wants a credential that counts in the node's present life.
func (c *claim) checkLife(now time.Time) error {
	proved := c.node.Proved
	switch {
	case c.node.Epoch != 0 && c.node.Epoch != c.Epoch:
		return &fleet.Refusal{Reason: RefusedEpoch, Detail: fmt.Sprintf("the request is of epoch %d, the node's is %d", c.Epoch, c.node.Epoch)}
	case proved == nil:
		return &fleet.Refusal{Reason: RefusedNoCredential, Detail: "the log knows of no credential that the node has proved"}
	case !now.Before(proved.NotAfter.Add(-identity.SkewMargin)):
		return &fleet.Refusal{Reason: identity.CertificateExpired, Detail: "the credential counted until " + identity.SkewMargin.String() + " before " + proved.NotAfter.UTC().Format(time.RFC3339)}
	}
	return nil
}

// verify checks the signature by the credential that the log says is proved,
// and that the new one would be for the same key.
func (c *claim) verify(e *events.Event, certificate string, v identity.Verification) error {
	leaf, err := v.Leaf([]byte(certificate))
	if err != nil {
		return err
	}
	if want := leaf.URIs[0].String(); e.Source != want {
		return &fleet.Refusal{Reason: RefusedSource, Detail: fmt.Sprintf("source is %q, the certificate names %q", e.Source, want)}
	}
	if err := proof.VerifyEvent(e, leaf.PublicKey); err != nil {
		return err
	}
	if c.csr, err = identity.ParseCSR([]byte(c.CSRPEM)); err != nil {
		return err
	}
	fingerprint, err := identity.Fingerprint(c.csr.PublicKey)
	if err != nil {
		return errors.Join(&fleet.Refusal{Reason: RefusedKey, Detail: "the key of the request cannot be read"}, err)
	}
	if fingerprint != c.node.Proved.KeyFingerprint {
		return &fleet.Refusal{Reason: RefusedKey, Detail: "the request is for key " + fingerprint + ", the credential's is " + c.node.Proved.KeyFingerprint}
	}
	return nil
}

// waiting says that a credential was issued that the node has still to prove,
// and that lasts long enough to be worth it.
func (c *claim) waiting() bool {
	issued, proved := c.node.Issued, c.node.Proved
	return issued != nil && issued.Serial != proved.Serial && issued.KeyFingerprint == proved.KeyFingerprint &&
		issued.NotAfter.After(proved.NotAfter)
}

// tooEarly bounds how often a node gets a new credential. Clocks may differ by
// the margin, and agents that were told nothing else ask in the last third.
func (c *claim) tooEarly(now time.Time) error {
	proved := c.node.Proved
	due := identity.RenewFrom(proved.NotBefore, proved.NotAfter, c.desired.RenewBefore)
	if third := identity.RenewFrom(proved.NotBefore, proved.NotAfter, 0); third.Before(due) {
		due = third
	}
	if c.rotation || !now.Before(due.Add(-identity.SkewMargin)) {
		return nil
	}
	return &fleet.Refusal{Reason: RefusedTooEarly, Detail: "the credential is due at " + due.UTC().Format(time.RFC3339)}
}
