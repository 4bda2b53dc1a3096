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
	// Bundle is the BundleDigest of the trust bundle that the node holds; empty
	// while it has none.
	Bundle string `json:"bundle,omitempty"`
}

// CertificateRequested asks an agent for a certificate signing request, and for
// evidence that it is the node's.
type CertificateRequested struct {
	Epoch       uint64 `json:"epoch"`
	TrustDomain string `json:"trust_domain"`
	// Attestor is the kind of evidence that the inventory asks for.
	Attestor fleet.Attestor `json:"attestor"`
	// Nonce is drawn afresh; the evidence answers it.
	Nonce string `json:"nonce"`
}

// Evidence is how a node shows who it is; package attest makes and judges it.
type Evidence struct {
	Attestor fleet.Attestor `json:"attestor"`
	// CertificatePEM of the node, after it the intermediates; Signature over the
	// challenge by its key. For mtls-cert.
	CertificatePEM string `json:"certificate_pem,omitempty"`
	Signature      []byte `json:"signature,omitempty"`
	// Payload is what a plugin is to judge, such as a token. For node-plugin.
	Payload string `json:"payload,omitempty"`
}

// CredentialDelivered hands an agent its certificate and the challenge to answer.
type CredentialDelivered struct {
	Epoch       uint64 `json:"epoch"`
	Serial      string `json:"serial"`
	Nonce       string `json:"nonce"`
	TrustDomain string `json:"trust_domain"`
	// Region of the node: an intermediate of another one is refused. Empty: any.
	Region string `json:"region,omitempty"`
	// CertificatePEM is the node's chain without its root, the leaf first;
	// BundlePEM the roots it may trust.
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
	// CSRPEM and Evidence answer certificate.requested. Evidence is nil when the
	// agent has none of the kind that was asked for.
	CSRPEM   string    `json:"csr_pem,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"`
}
