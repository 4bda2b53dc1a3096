package attest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Reasons of a refusal. They are written to the log, so none is ever renamed.
const (
	// ReasonMissing: the node gave no evidence.
	ReasonMissing fleet.Reason = "attestation_missing"
	// ReasonUnconfigured: the issuer cannot verify evidence of this kind.
	ReasonUnconfigured fleet.Reason = "attestation_unconfigured"
	// ReasonKind: the inventory asks for evidence of another kind.
	ReasonKind fleet.Reason = "attestation_kind"
	// ReasonMalformed: the evidence cannot be read.
	ReasonMalformed fleet.Reason = "attestation_malformed"
	// ReasonCertificate: the certificate does not chain to the attestation CA, is
	// not valid now, or is none of a client.
	ReasonCertificate fleet.Reason = "attestation_certificate"
	// ReasonName: the certificate, or the plugin, names another node or none.
	ReasonName fleet.Reason = "attestation_name"
	// ReasonSignature: the challenge was not signed by the certificate's key.
	ReasonSignature fleet.Reason = "attestation_signature"
	// ReasonPlugin: the plugin failed, refused, or printed what is no answer.
	ReasonPlugin fleet.Reason = "attestation_plugin"
	// ReasonPluginTimeout: the plugin did not answer in time.
	ReasonPluginTimeout fleet.Reason = "attestation_plugin_timeout"
)

// Challenge is what evidence must answer.
type Challenge struct {
	TrustDomain string
	Node        fleet.NodeID
	// Nonce is drawn afresh by the issuer.
	Nonce string
	// CSRPEM is the certificate request that the evidence vouches for, byte for
	// byte, and KeyFingerprint that of its key.
	CSRPEM, KeyFingerprint string
}

// statement is what a key signs to answer the challenge. Lengths stand before
// the parts, so that no two challenges have the same statement, and the first
// part keeps it from being taken for anything else the key may sign.
func (c Challenge) statement() []byte {
	csr := sha256.Sum256([]byte(c.CSRPEM))
	var b []byte
	for _, part := range []string{"fleetfold attestation, version 1", c.TrustDomain, string(c.Node), c.Nonce, string(csr[:])} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// Evidence is a node's answer.
type Evidence = events.Evidence

// Verifier judges evidence of one kind. An error that is not a *fleet.Refusal
// says that it could not: nobody is at fault, and nobody is let through.
type Verifier interface {
	Verify(ctx context.Context, c Challenge, e Evidence) error
}

// Prover makes a node's evidence of one kind.
type Prover interface {
	Prove(ctx context.Context, c Challenge) (Evidence, error)
}

// Verifiers by the kind of evidence they judge. The nil map refuses everybody.
type Verifiers map[fleet.Attestor]Verifier

// Verify judges evidence by the kind that the inventory names for the node; nil
// evidence is none.
func (v Verifiers) Verify(ctx context.Context, kind fleet.Attestor, c Challenge, e *Evidence) error {
	verifier := v[kind]
	switch {
	case verifier == nil:
		return refuse(ReasonUnconfigured, "this executor cannot verify "+string(kind)+" evidence: give it "+missing[kind])
	case e == nil:
		return refuse(ReasonMissing, "the agent gave no "+string(kind)+" evidence: start it with "+absent[kind])
	case e.Attestor != kind:
		return refuse(ReasonKind, "the evidence is "+string(e.Attestor)+", the inventory asks for "+string(kind))
	}
	return verifier.Verify(ctx, c, *e)
}

// missing and absent say which flags would help.
var (
	missing = map[fleet.Attestor]string{
		fleet.AttestorMTLSCert:   "the certificates of the CA that clients have theirs from (--attest-ca)",
		fleet.AttestorNodePlugin: "a plugin (--attest-plugin)",
	}
	absent = map[fleet.Attestor]string{
		fleet.AttestorMTLSCert:   "--attest-cert and --attest-key",
		fleet.AttestorNodePlugin: "--attest-payload",
	}
)

// Provers by the kind of evidence they make.
type Provers map[fleet.Attestor]Prover

// Prove makes evidence of that kind; nil if this node has none.
func (p Provers) Prove(ctx context.Context, kind fleet.Attestor, c Challenge) (*Evidence, error) {
	prover := p[kind]
	if prover == nil {
		return nil, nil
	}
	e, err := prover.Prove(ctx, c)
	if err != nil {
		return nil, err
	}
	e.Attestor = kind
	return &e, nil
}

func refuse(reason fleet.Reason, detail string) error {
	return &fleet.Refusal{Reason: reason, Detail: detail}
}
