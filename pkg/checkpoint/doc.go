// Package checkpoint keeps account of a log as it grows: it follows the Merkle
// tree over it, signs now and then what the log is, and hands that on.
//
// What it promises: a checkpoint is signed only over records that were read, and
// appended only if nobody appended another since, so that two of them never
// publish twice for one size. After a start the tree goes on from the newest
// checkpoint of the same key that stands on the log, whose frontier must have the
// root that is signed; without one, or with one of another key, the whole log is
// read. A checkpoint of the key that does not fit the records is the end of
// signing, and is told: two histories go by one name.
//
// In which order: a checkpoint is appended to the log first, and handed on once
// it is read there, by every Keeper that reads it, whoever signed it. What could
// not be handed on is tried again, the newest only. So whoever takes checkpoints
// gets each at least once, or a newer one.
//
// What the caller must do: keep the key, and give it to nobody who could rewrite
// the log.
//
// What it never does: sign because time went by. A log that does not grow needs
// no other checkpoint, and checkpoints themselves do not count as growth.
package checkpoint
