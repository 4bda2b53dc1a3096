// Package proof ties an event to the signature it carries: which fields of the
// event a proof vouches for, and in which spelling.
//
// What it promises: SignEvent and VerifyEvent agree on the bytes, so an event
// that was signed, sent, stored and read back verifies as long as nobody
// changed its id, source, type, subject, time (to the second) or data. The
// data is the body as it came; it is never encoded again.
//
// In which order: the node builds the event, calls SignEvent, and changes
// nothing afterwards. The reader decodes the event, finds the public key by the
// node's certificate, and calls VerifyEvent.
//
// What the caller must do: decide which events need a proof, and check that
// the key is the one of the event's node; a proof by a stranger's key verifies
// with the stranger's key.
//
// What it never does: read the clock, touch a file, or look up a key. The trace
// context is not covered, for it belongs to the carrier.
package proof
