// Package projection folds the fleet's log into the state that decisions are
// made on.
//
// It promises: any prefix of the log gives exactly one State, whoever folds it,
// whenever, and in however many parts. There is no clock in it: times are those
// the log stored. No message stops the fold; one that does not fit is counted
// (Unfit), and one that fits and yet counts for nothing is counted by its type
// (Ignored).
//
// What counts:
//
//   - node.appeared begins to observe a node, or makes it present again.
//     node.lost and node.left make it absent; its credential stays.
//     node.removed ends a life of the id: the node is no longer observed, and
//     the id's epoch is one more, for ever.
//
//   - Facts and actions of another epoch than the id's present one count for
//     nothing.
//
//   - A node can sign from the moment it answers its newest challenge
//     (credential.proved with the serial and nonce of credential.issued) until
//     that credential expires or is revoked, or the node appears with another
//     key. A new challenge does not end what was proved before.
//
//   - An inventory counts if its generation is higher than the one in force.
//
//   - An action is in flight from its event to its first outcome; a second
//     outcome, or the same action again, counts for nothing. The first outcome
//     is one of its need, if anything is remembered then of attempts at that
//     need at the action's epoch and generation.
//
//   - control.paused and control.resumed begin and end the pause of exactly
//     their target; the first pause counts.
//
//   - plan.approved counts if its basis lies between the inventory in force and
//     the approval itself. Another inventory ends all approvals.
//
//   - rotation.requested asks for every credential of its target anew that was
//     issued before it. The newest of a target counts; one of the fleet takes the
//     place of all before it.
//
//   - The first root of a trust domain issues, and the first intermediate of a
//     region under a root; later ones from trust.activated on. A root's
//     certificate takes the place of an earlier one for the same key.
//     trust.retired ends an issuer that does not issue, a root's intermediates
//     with it. A requested step counts if it can be taken as things stand, and
//     takes the place of an earlier one of the same region.
//
//   - Revoked is each certificate of a node's present life that was ended before
//     its time by credential.revoked, by another key, or by a removal; those that
//     a newer one took the place of are among them. A retired intermediate is,
//     too. It is listed until the time of the log has reached its end, and at
//     most MaxRevoked are, those that end last.
//
//   - action.retry-requested lets the next attempt at a need follow at once on the
//     one it names, if that is the newest, ended without success, and nothing of
//     the need is in flight. It changes nothing of what counts as failed.
//
//   - node.bundle-reported says which trust bundle a node holds, until it says
//     otherwise or its life ends.
//
//   - partition.applied divides the fleet from there on. A plan counts if the
//     partition in force is the one that it was decided under and has its shard,
//     and, once there was a partition, its inventory is the one in force. Any other
//     counts for nothing, with its actions; and once there was a partition,
//     so does an action that is not of the plan before it. The safeguards that
//     count are those of the newest plan of the rest.
//
//   - message.refused counts for nothing; it is there for people.
//
//   - A loss adds to the node's penalty, a farewell does not. A removal ends the
//     penalty.
//
// The nodes of Observed stand in order of first appearance; one that was
// removed and comes back stands last. Of what is past only this is kept: for
// each id ever seen its epoch, when it was last removed and the last sequence
// on its subject, for each living node its newest losses and earlier certificates, and for each need of
// one its newest attempts. The attempts at an id that is not observed are
// forgotten with the inventory they were made under, once none is in flight:
// from there on the fold cannot tell an action of theirs from a new one.
//
// Apply tells which nodes a message changed, and ChangedSince which ones changed
// since a sequence, as far back as some thousand changes: so whoever keeps
// something about every node follows at the cost of what changed.
//
// The caller must hand over every sequence, in order, from 1: else Apply
// returns ErrGap. When a message does not fit but its subject is known, Skip
// is better than Apply with nil, because it keeps the fences right. The Last
// methods are for eventlog.LastOnSubject.
package projection
