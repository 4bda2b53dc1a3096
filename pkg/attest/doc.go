// Package attest finds out who asks for a credential: the issuer challenges a
// node, the node answers with evidence, and a verifier of the kind that the
// inventory names for the node accepts or refuses it.
//
// It promises: evidence counts for one challenge and one certificate request
// only, so that it can neither be replayed nor be used for another key. No empty
// configuration lets a name through: without a verifier of the node's kind, and
// without a certificate to verify by, everybody is refused. Every refusal is a
// *fleet.Refusal with a stable reason, and says nothing secret.
//
// Of the kinds, mtls-cert asks for the possession of a client certificate's key,
// and node-plugin leaves the verdict to a program:
//
//	PLUGIN reads {"trust_domain","node","nonce","csr_sha256","key_fingerprint",
//	"payload"} as one JSON object on standard input and prints the id of the node
//	that it has attested, and a new line. It ends with 0 within its time limit.
//	Anything else is a refusal.
//
// The caller draws a fresh nonce for each challenge, and checks that the request
// is signed by its own key. The package reads certificate files anew for each
// evidence, so that they can be exchanged while it runs.
package attest
