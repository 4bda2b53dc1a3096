package events

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// The payloads below are about the issuers of a fleet and what its nodes know of
// them. Region is empty where the root is meant.

// NodeBundleReported says which trust bundle a node holds.
type NodeBundleReported struct {
	Epoch uint64 `json:"epoch"`
	// Digest is the BundleDigest of the node's bundle; empty: it holds none.
	Digest string `json:"digest,omitempty"`
}

// TrustDelegated says that a root lets an intermediate sign for a region's nodes.
// The first one of a region under a root issues at once; later ones do from
// trust.activated on.
type TrustDelegated struct {
	TrustDomain string `json:"trust_domain"`
	Region      string `json:"region"`
	// Fingerprint of the intermediate's public key, Issuer of its root's, both
	// "sha256:<hex>".
	Fingerprint string `json:"fingerprint"`
	Issuer      string `json:"issuer"`
	// Serial of the certificate in lower-case hex.
	Serial         string    `json:"serial"`
	NotAfter       time.Time `json:"not_after"`
	CertificatePEM string    `json:"certificate_pem"`
}

// RotationStep is one step from an issuer to its successor.
type RotationStep string

// The steps, in their order.
const (
	// RotationPrepare makes the successor and publishes it.
	RotationPrepare RotationStep = "prepare"
	// RotationActivate makes it the one that issues, once every desired node has
	// reported a bundle with its root.
	RotationActivate RotationStep = "activate"
	// RotationRetire ends its predecessors, once no desired node signs with what
	// they issued.
	RotationRetire RotationStep = "retire"
)

// TrustRotationRequested says that a person wants one step of a rotation taken.
type TrustRotationRequested struct {
	Step        RotationStep `json:"step"`
	TrustDomain string       `json:"trust_domain"`
	Region      string       `json:"region,omitempty"`
	Actor       string       `json:"actor"`
	Note        string       `json:"note,omitempty"`
}

// TrustRotationHeld says what a requested step waits for. It is said once for
// each reason, so Nodes are those of that moment, at most MaxWaitListed of them;
// NodesTotal counts them all.
type TrustRotationHeld struct {
	Step        RotationStep   `json:"step"`
	TrustDomain string         `json:"trust_domain"`
	Region      string         `json:"region,omitempty"`
	Reason      fleet.Reason   `json:"reason"`
	Detail      string         `json:"detail"`
	Nodes       []fleet.NodeID `json:"nodes,omitempty"`
	NodesTotal  int            `json:"nodes_total"`
}

// MaxWaitListed bounds TrustRotationHeld.Nodes.
const MaxWaitListed = 20

// TrustActivated says that an issuer issues from here on, in place of the one before.
type TrustActivated struct {
	TrustDomain string `json:"trust_domain"`
	Region      string `json:"region,omitempty"`
	Fingerprint string `json:"fingerprint"`
}

// TrustRetired ends an issuer: a root leaves the bundle, and its intermediates
// end with it; an intermediate is revoked.
type TrustRetired struct {
	TrustDomain string `json:"trust_domain"`
	Region      string `json:"region,omitempty"`
	Fingerprint string `json:"fingerprint"`
}
