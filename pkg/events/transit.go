package events

import "github.com/fleetfold/fleetfold/pkg/fleet"

// The payloads below pass between an agent and the border, or between an
// executor and an agent. They are never on the log.

// Heartbeat renews a node's lease, or ends it when Leaving is set.
type Heartbeat struct {
	Session        string `json:"session"`
	LeaseSeconds   int    `json:"lease_seconds"`
	KeyFingerprint string `json:"key_fingerprint"`
	// Serial of the credential the node holds; empty while it has none.
	Serial  string `json:"serial,omitempty"`
	Leaving bool   `json:"leaving,omitempty"`
}

// CertificateRequested asks an agent for a certificate signing request.
type CertificateRequested struct {
	Epoch uint64 `json:"epoch"`
}

// CredentialDelivered hands an agent its certificate and the challenge to answer.
type CredentialDelivered struct {
	Epoch       uint64 `json:"epoch"`
	Serial      string `json:"serial"`
	Nonce       string `json:"nonce"`
	TrustDomain string `json:"trust_domain"`
	// CertificatePEM of the node; BundlePEM the roots it may trust.
	CertificatePEM string `json:"certificate_pem"`
	BundlePEM      string `json:"bundle_pem"`
}

// NodeStopRequested asks an agent to stop, and to forget its key and
// credential when Forget is set.
type NodeStopRequested struct {
	Reason fleet.Reason `json:"reason"`
	Forget bool         `json:"forget"`
}

// CommandAnswered is an agent's answer to a command. Error is empty on success.
type CommandAnswered struct {
	Error string `json:"error,omitempty"`
	// CSRPEM answers certificate.requested.
	CSRPEM string `json:"csr_pem,omitempty"`
}
