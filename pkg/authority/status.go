package authority

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Stage is where an issuer stands in the line of its kind.
type Stage string

// The stages.
const (
	StagePrepared   Stage = "prepared"
	StageActive     Stage = "active"
	StageSuperseded Stage = "superseded"
)

// Status is what the log says of issuers.
type Status struct {
	TrustDomain string         `json:"trust_domain"`
	Issuers     []IssuerStatus `json:"issuers"`
	Pending     []Pending      `json:"pending"`
	// BundleDigest of the roots; Reported is how many desired nodes hold it.
	BundleDigest string `json:"bundle_digest"`
	Reported     int    `json:"reported"`
	Desired      int    `json:"desired"`
	// Revoked certificates that have not expired.
	Revoked int `json:"revoked"`
}

// IssuerStatus is one root or intermediate.
type IssuerStatus struct {
	Region      string    `json:"region,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Stage       Stage     `json:"stage"`
	NotAfter    time.Time `json:"not_after"`
	// Signing is how many desired nodes sign with what it, or an intermediate of
	// it, has issued.
	Signing int `json:"signing"`
}

// Pending is a requested step and what it waits for at this moment.
type Pending struct {
	Step   events.RotationStep `json:"step"`
	Region string              `json:"region,omitempty"`
	Actor  string              `json:"actor"`
	Note   string              `json:"note,omitempty"`
	Since  time.Time           `json:"since"`
	Reason fleet.Reason        `json:"reason,omitempty"`
	Detail string              `json:"detail,omitempty"`
	// Nodes that it waits for, all of them.
	Nodes []fleet.NodeID `json:"nodes"`
}

// StatusOf looks at the fold with the inventory in force on it.
func StatusOf(s *projection.State, inv *fleet.Inventory) Status {
	st := Status{
		TrustDomain: inv.TrustDomain, Issuers: []IssuerStatus{}, Pending: []Pending{},
		BundleDigest: events.BundleDigest(s.Bundle(inv.TrustDomain)...), Desired: inv.Len(), Revoked: len(s.Revoked()),
	}
	for n := range inv.Nodes() {
		if node, ok := s.Node(n.ID); ok && node.Bundle != "" && node.Bundle == st.BundleDigest {
			st.Reported++
		}
	}
	root, _ := s.Root(inv.TrustDomain)
	for _, i := range s.Issuers() {
		if i.TrustDomain == inv.TrustDomain {
			st.Issuers = append(st.Issuers, IssuerStatus{
				Region: i.Region, Fingerprint: i.Fingerprint, Stage: stageOf(s, i, root), NotAfter: endOf(i),
				Signing: len(s.SigningUnder(inv, i.Fingerprint)),
			})
		}
	}
	for _, r := range s.IssuerSteps() {
		if r.TrustDomain == inv.TrustDomain {
			st.Pending = append(st.Pending, pendingOf(s, inv, r))
		}
	}
	return st
}

func stageOf(s *projection.State, i, root projection.Issuer) Stage {
	if i.Parent != "" && i.Parent != root.Fingerprint {
		return StageSuperseded
	}
	if i.Active {
		return StageActive
	}
	for _, before := range s.Predecessors(i.TrustDomain, i.Region) {
		if before.Fingerprint == i.Fingerprint {
			return StageSuperseded
		}
	}
	return StagePrepared
}

func endOf(i projection.Issuer) time.Time {
	if !i.NotAfter.IsZero() {
		return i.NotAfter
	}
	cert, err := parse([]byte(i.CertificatePEM))
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter
}

func pendingOf(s *projection.State, inv *fleet.Inventory, r projection.IssuerStep) Pending {
	p := Pending{Step: r.Step, Region: r.Region, Actor: r.Actor, Note: r.Note, Since: r.At, Nodes: []fleet.NodeID{}}
	switch r.Step {
	case events.RotationActivate:
		if next, ok := s.Successor(r.TrustDomain, r.Region); ok {
			p.Nodes, p.Reason = s.WithoutRoot(inv, rootOf(next)), ReasonBundle
		}
	case events.RotationRetire:
		for _, old := range s.Predecessors(r.TrustDomain, r.Region) {
			p.Nodes, p.Reason = append(p.Nodes, s.SigningUnder(inv, old.Fingerprint)...), ReasonInUse
		}
	}
	if len(p.Nodes) == 0 {
		p.Reason = ""
	}
	if r.Held == ReasonUnusable {
		p.Reason, p.Detail = r.Held, r.HeldDetail
	}
	return p
}
