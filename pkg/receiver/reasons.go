package receiver

import (
	"net/http"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Reasons besides those of package identity. Each is a stable label of answers,
// logs and metrics.
const (
	// Unsigned: the post carries no proof.
	Unsigned fleet.Reason = "unsigned"
	// SenderUnknown: the proof comes without the chain of its signer.
	SenderUnknown fleet.Reason = "sender_unknown"
	// WrongSource: the source is no SPIFFE ID of this trust domain.
	WrongSource fleet.Reason = "wrong_source"
	// WrongAudience: the post is meant for somebody else, or for nobody.
	WrongAudience fleet.Reason = "wrong_audience"
	// ExtensionUnsigned: the proof does not cover the chain and the audience.
	ExtensionUnsigned fleet.Reason = "extension_unsigned"
	// Stale: the post's time is missing or too long ago.
	Stale fleet.Reason = "stale"
	// FromFuture: the post's time has not come.
	FromFuture fleet.Reason = "from_future"
	// Replayed: the post came before.
	Replayed fleet.Reason = "replayed"
	// MemoryLost: the receiver cannot tell whether the post came before, for it
	// restarted without what it had seen, or cannot keep it.
	MemoryLost fleet.Reason = "memory_lost"
	// CredentialLapsed is a warning: the credential ended after the flip to strict,
	// not long ago.
	CredentialLapsed fleet.Reason = "credential_lapsed"
	// PostureUnknown: the receiver does not know yet whether the fleet is strict.
	PostureUnknown fleet.Reason = "posture_unknown"
	// TrustUnknown: the receiver has no root to check signers by.
	TrustUnknown fleet.Reason = "trust_unknown"

	// NoEvent: the request or message is no CloudEvent.
	NoEvent fleet.Reason = "no_event"
	// BadEvent: it is one that is not well formed.
	BadEvent fleet.Reason = "bad_event"
	// UnsupportedMode: a batch, or a format other than JSON.
	UnsupportedMode fleet.Reason = "unsupported_mode"
	// TooLarge: the body, an attribute or their number is over its limit.
	TooLarge fleet.Reason = "too_large"
)

// doubts are what an honest sender of a fleet that is not strict yet may have
// about it. They are refused while strict; all other reasons always.
var doubts = map[fleet.Reason]bool{
	Unsigned: true, SenderUnknown: true, WrongSource: true, WrongAudience: true, Stale: true, FromFuture: true, TrustUnknown: true,
	identity.ChainUntrusted: true, identity.IssuerRegion: true, identity.CertificateExpired: true, identity.CertificateNotYetValid: true,
}

// known lists all reasons that an answer can have.
var known = func() map[fleet.Reason]bool {
	all := make(map[fleet.Reason]bool)
	for _, reason := range []fleet.Reason{
		Unsigned, SenderUnknown, WrongSource, WrongAudience, ExtensionUnsigned, Stale, FromFuture, Replayed, MemoryLost, CredentialLapsed,
		PostureUnknown, TrustUnknown, NoEvent, BadEvent, UnsupportedMode, TooLarge,
		identity.CertificateUnparsable, identity.CertificateIsCA, identity.CertificateKeyUnsupported, identity.CertificateKeyUsage,
		identity.ChainTooDeep, identity.IssuerNotCA, identity.IssuerNotConfined, identity.CertificateRevoked, identity.CertificateSuperseded, identity.IssuerRegion, identity.ChainUntrusted,
		identity.CertificateExpired, identity.CertificateNotYetValid, identity.SPIFFEIDMismatch,
		identity.ProofTooLarge, identity.ProofMalformed, identity.ProofPayloadType, identity.ProofPayload, identity.ProofNames,
		identity.ProofSignature, identity.ProofCoreMismatch, identity.ProofExtMismatch,
	} {
		all[reason] = true
	}
	return all
}()

// KnownReason says whether an answer of a receiver can have that reason: whoever
// counts by what a stranger says had better ask.
func KnownReason(reason fleet.Reason) bool { return known[reason] }

// Refusal says why a post was not taken.
type Refusal = fleet.Refusal

func refuse(reason fleet.Reason, detail string) *Refusal {
	return &Refusal{Reason: reason, Detail: clip(detail)}
}

// maxDetail bounds what is quoted of a post.
const maxDetail = 512

// clip keeps printable ASCII: the detail goes into headers and logs.
func clip(s string) string {
	b := []byte(s[:min(len(s), maxDetail)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// statusOf is the HTTP status that a refusal is answered with.
func statusOf(reason fleet.Reason) int {
	switch reason {
	case NoEvent, BadEvent:
		return http.StatusBadRequest
	case UnsupportedMode:
		return http.StatusUnsupportedMediaType
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case PostureUnknown, TrustUnknown, MemoryLost:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}
