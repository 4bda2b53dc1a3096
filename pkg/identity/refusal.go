package identity

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Reasons of a Refusal. They are written to the log, so none is ever renamed.
const (
	// CSRUnparsable: not one well-formed PEM certificate request of at most 64 KiB.
	CSRUnparsable fleet.Reason = "csr_unparsable"
	// CSRKeyUnsupported: the key is neither ECDSA P-256 nor Ed25519.
	CSRKeyUnsupported fleet.Reason = "csr_key_unsupported"
	// CSRSignature: the request is not signed by the key that it carries.
	CSRSignature fleet.Reason = "csr_signature"
	// TTLTooShort: the credential would never count, or for less than a second.
	TTLTooShort fleet.Reason = "ttl_too_short"
	// TTLOutlivesIssuer: the credential would end after its issuer's certificate.
	TTLOutlivesIssuer fleet.Reason = "ttl_outlives_issuer"
	// IssuerNotValid: the issuer's certificate is not valid at the time of issue.
	IssuerNotValid fleet.Reason = "issuer_not_valid"

	// CertificateUnparsable: not exactly one well-formed PEM certificate of at most 64 KiB.
	CertificateUnparsable fleet.Reason = "certificate_unparsable"
	// CertificateIsCA: the certificate may sign others, so it is no node's.
	CertificateIsCA fleet.Reason = "certificate_is_ca"
	// CertificateKeyUnsupported: the key is neither ECDSA P-256 nor Ed25519.
	CertificateKeyUnsupported fleet.Reason = "certificate_key_unsupported"
	// CertificateKeyUsage: the certificate may not be used for signatures.
	CertificateKeyUsage fleet.Reason = "certificate_key_usage"
	// ChainTooDeep: there is more than one intermediate between leaf and root.
	ChainTooDeep fleet.Reason = "chain_too_deep"
	// IssuerNotCA: the certificate after the leaf is not one of a CA.
	IssuerNotCA fleet.Reason = "issuer_not_ca"
	// IssuerNotConfined: the intermediate could sign for more than its own trust
	// domain's nodes, or has done so.
	IssuerNotConfined fleet.Reason = "issuer_not_confined"
	// IssuerRegion: the intermediate signs for another region than the node's.
	IssuerRegion fleet.Reason = "issuer_region"
	// CertificateRevoked: a revocation list names the certificate or its issuer's.
	CertificateRevoked fleet.Reason = "certificate_revoked"
	// CertificateSuperseded: a revocation list says that the node has a newer one in use.
	CertificateSuperseded fleet.Reason = "certificate_superseded"
	// CRLUnparsable: not a DER revocation list of at most 16 MiB.
	CRLUnparsable fleet.Reason = "crl_unparsable"
	// CRLSignature: no issuer that is known signed the revocation list.
	CRLSignature fleet.Reason = "crl_signature"
	// RegionsUnparsable: not a part of the list of which intermediate signs for whom.
	RegionsUnparsable fleet.Reason = "regions_unparsable"
	// BundleUnparsable: not a SPIFFE trust bundle with at least one root.
	BundleUnparsable fleet.Reason = "bundle_unparsable"
	// ChainUntrusted: no given root signed the certificate.
	ChainUntrusted fleet.Reason = "chain_untrusted"
	// CertificateExpired: the certificate's time is over.
	CertificateExpired fleet.Reason = "certificate_expired"
	// CertificateNotYetValid: the certificate's time has not begun.
	CertificateNotYetValid fleet.Reason = "certificate_not_yet_valid"
	// SPIFFEIDMismatch: the certificate does not name exactly this node.
	SPIFFEIDMismatch fleet.Reason = "spiffe_id_mismatch"

	// ProofMissing: the event carries no proof.
	ProofMissing fleet.Reason = "proof_missing"
	// ProofTooLarge: the envelope is over 64 KiB.
	ProofTooLarge fleet.Reason = "proof_too_large"
	// ProofMalformed: the bytes are not UTF-8 or not a DSSE envelope.
	ProofMalformed fleet.Reason = "proof_malformed"
	// ProofPayloadType: the envelope carries something else than a proof.
	ProofPayloadType fleet.Reason = "proof_payload_type"
	// ProofPayload: the payload is not JSON of the agreed shape.
	ProofPayload fleet.Reason = "proof_payload"
	// ProofNames: the list of signed extensions repeats a name or holds one
	// that is not an extension's.
	ProofNames fleet.Reason = "proof_names"
	// ProofSignature: no signature of the envelope is by the given key.
	ProofSignature fleet.Reason = "proof_signature"
	// ProofCoreMismatch: the proof was made for other attributes or other data.
	ProofCoreMismatch fleet.Reason = "proof_core_mismatch"
	// ProofExtMismatch: a signed extension was changed, removed or added.
	ProofExtMismatch fleet.Reason = "proof_ext_mismatch"
)

// Refusal is the error of this package for something that is not accepted.
type Refusal = fleet.Refusal

func refuse(reason fleet.Reason, detail string) error {
	return &Refusal{Reason: reason, Detail: detail}
}
