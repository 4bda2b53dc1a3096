// Package receiver is where enforcement bites: it decides of each post whether it
// is taken, by what the fleet's log says of the fleet.
//
// A post is a CloudEvent from a node or from any other holder of a credential of
// the trust domain, over HTTP (Handler) or on the bus (CheckMessage), in binary or
// structured mode. It is signed by the attribute "dssematerial", see package
// identity, and carries two more attributes that the signature covers:
// "sendercert", the chain of the sender's credential, and "audience", the receiver
// that it is meant for. Sign and Transport make such posts.
//
// What it promises:
//
//   - While the fleet is strict, only verified posts get through: with a signature
//     over the bytes that came, by the key of a credential that ends in a root of
//     the bundle, is within its time and not revoked, whose SPIFFE ID is the post's
//     source; fresh, meant for this receiver, and not seen before. Others are
//     refused with status 401 and a stable reason.
//   - While it is permissive, what strict would refuse is taken and counted under
//     the reason that strict would give, so that a rollout shows beforehand whom it
//     would hit. The sender of such a post is not verified: Sender says so.
//   - What was tampered with is refused always, also while permissive: a signature
//     that does not fit, a signer that is not the source, a revoked credential, a
//     post that came before. Nobody honest sends these.
//   - A credential that lapsed after the flip to strict is taken with a warning for
//     a bounded time (Config.WarnWindow), for its holder cannot help that the issuer
//     is late. One that had lapsed before the flip is not.
//   - What the intermediate of a region signed for a node of another is refused
//     while strict. A credential that the node has replaced counts for five minutes
//     more, however long its own time is.
//   - Until the posture is known nothing is taken: status 503. The same where a
//     receiver lacks roots, regions, or what it saw before it restarted.
//   - The posture never goes back to an older one.
//   - Memory is bounded. Who posts so much that its ids no longer fit can post
//     nothing older than what was forgotten of it; nothing is taken twice.
//
// In which order: size and shape of the post, signature, credential, revocation,
// time, audience, and last whether it came before. The posture is the one that was
// known when the post's headers had come.
//
// What the caller must do: run the Source; name all that the receiver is called by
// (Config.Audiences), and nothing that another receiver is called by too, or what
// was posted to that one can be posted again here; trust Sender only where it is
// verified. A sender posts once: the same id again is a replay. Name a file of its
// own (Config.MemoryFile) and call Close at the end: without the file, a receiver
// that restarts takes a post of the last MaxAge once more.
//
// What it never does: write to the log, or answer for the application behind it.
package receiver
