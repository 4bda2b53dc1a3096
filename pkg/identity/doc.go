// Package identity says who a node is and lets others check it: the SPIFFE ID
// of a node, its key, the certificate that the trust domain's root or a region's
// intermediate issues for that key, and the proof that an event was written by
// the holder of the key.
//
// What it promises:
//
//   - A node id and its SPIFFE ID are two spellings of one thing: each id has
//     one SPIFFE ID, each accepted SPIFFE ID has one id, and no two ids share
//     one, whatever bytes the id rule allows.
//   - A private key is written once, whole, readable by its owner only, and is
//     never overwritten, never logged and never part of an error.
//   - A certificate carries what the issuer decided and nothing that the
//     request asked for, except its public key.
//   - An intermediate can sign leaves only, with names of its trust domain only;
//     for nodes of another region what it signs is refused.
//   - A proof is checked over the bytes that came. Nothing is encoded again
//     before the signature is verified.
//   - Every refusal about something that came from outside is a *Refusal with
//     a stable reason; [fleet.ReasonOf] finds it in any wrapped error. Other errors
//     are about this machine (a file, a folder) or about the caller.
//
// In which order things happen: a node calls [LoadOrCreateKey] and [NewCSR];
// the issuer calls [ParseCSR] and [CA.Issue]; the node signs its answer to a
// challenge with [Sign]; whoever folds the log calls [Verification.Leaf] and then
// [Verify] with the key of the leaf that it returned. [CA.CRL] and [SPIFFEBundle]
// are for readers that do not follow the log.
//
// What the caller must do: pass the time, decide whether an event must carry a
// proof (a stripped proof looks like none), keep challenges fresh and used
// once, keep the list of revoked serials, and attest a node before issuing.
// A proof covers one event. It says nothing of replay, order or completeness.
//
// What it never does: read the clock, start a goroutine, log, or touch the
// network. Only key.go, ca.go and file.go touch the disk. Keys, nonces and
// serials come from crypto/rand. An issuer's key may also be kept elsewhere: any
// crypto.Signer will do, such as that of package keycommand.
package identity
