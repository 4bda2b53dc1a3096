package events

import "github.com/fleetfold/fleetfold/pkg/fleet"

// The payloads below pass between an agent and the border, or between an
// executor and an agent. They are never on the log.

// Heartbeat renews a node's lease, or ends it when Leaving is set.
type Heartbeat struct {
	Session        string `json:"session"`
	LeaseSeconds   int    `json:"lease_seconds"`
	KeyFingerprint string `json:"key_fingerprint"`
	// Serial of the credential the node uses; empty while it has none.
	Serial string `json:"serial,omitempty"`
	// PendingSerial of a newer credential that the node holds, too, and does not
	// use before it is confirmed; empty while there is none.
	PendingSerial string `json:"pending_serial,omitempty"`
	Leaving       bool   `json:"leaving,omitempty"`
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
	// RenewBeforeSeconds is how long before its end the node is to renew it; 0,
	// as in those of before there were renewals: a third of its time.
	RenewBeforeSeconds int64 `json:"renew_before_seconds,omitempty"`
}

// RenewalRequested is a node's request for a credential that takes the place of
// the one it uses. The key of that one signs the event (dssematerial), so the
// request is all the evidence that a renewal needs.
type RenewalRequested struct {
	Epoch uint64 `json:"epoch"`
	// Serial of the credential in use.
	Serial string `json:"serial"`
	// PendingSerial of a newer one that the node holds and has proved, as far as
	// it knows; the answer is then whether the log says so. Empty: none.
	PendingSerial string `json:"pending_serial,omitempty"`
	// CSRPEM is a certificate request for the same key.
	CSRPEM string `json:"csr_pem"`
	// Nonce is drawn afresh for each request.
	Nonce string `json:"nonce"`
}

// CredentialConfirmed tells a node that the log says that it has proved the
// credential with that serial: it may use it in place of its old one.
type CredentialConfirmed struct {
	Serial string `json:"serial"`
}

// CredentialRotationRequested asks a node to renew the credential with that
// serial now, although its time has not come.
type CredentialRotationRequested struct {
	Serial string `json:"serial"`
}

// NodeStopRequested asks an agent to stop, and to forget its key and
// credential when Forget is set.
type NodeStopRequested struct {
	Reason fleet.Reason `json:"reason"`
	Forget bool         `json:"forget"`
}

// CommandAnswered is an agent's answer to a command, or an executor's to a
// request that it refuses. Error is empty on success.
type CommandAnswered struct {
	Error string `json:"error,omitempty"`
	// Reason is the stable word for a refused request; empty on commands.
	Reason fleet.Reason `json:"reason,omitempty"`
	// Taken says that an executor has taken a report; false otherwise.
	Taken bool `json:"taken,omitempty"`
	// CSRPEM and Evidence answer certificate.requested. Evidence is nil when the
	// agent has none of the kind that was asked for.
	CSRPEM   string    `json:"csr_pem,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"`
}
