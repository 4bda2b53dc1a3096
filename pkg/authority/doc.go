// Package authority keeps the issuers of a fleet: the root of its trust domain,
// the intermediates of its regions, and how one follows on another.
//
// What it promises:
//
//   - Which issuer issues is said by the log. A folder only holds keys: one
//     without the key of the issuer that the log names issues nothing, and says so.
//   - A successor issues only from the moment at which, on the log just before it,
//     every desired node had reported a trust bundle with its root. A root leaves
//     the bundle, and an intermediate is revoked, only when no desired node signs
//     with what it issued. Both hold by the condition of the append and not by timing.
//   - A key is never overwritten and never removed, be its issuer retired.
//   - What is published is never older than what it takes the place of.
//
// In which order things happen: Issuers.For makes the first root of a trust
// domain, and the first intermediate of a region under a root, and publishes them
// on the log; these issue at once. Issuers.Run takes the steps that people have
// requested (trust.rotation-requested): prepare makes a successor and publishes
// it, activate and retire wait for their gate. Once a root is activated, it makes
// and publishes an intermediate below it for each region that wants one. Publisher.Run puts bundle,
// revocation lists and posture on the trust stream and into files as the log
// changes.
//
// What the caller must do: give all executors of a fleet the same folder. Where
// each has a copy of its own, only one of them can make an issuer, and the others
// issue nothing until the folder was copied again: before an activation, at the
// latest. The folder must be kept as one keeps a CA.
package authority
