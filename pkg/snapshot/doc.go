// Package snapshot saves the fold of a log, so that whoever starts next reads
// the snapshot and the tail behind it and not the whole log.
//
// It promises: a snapshot and the tail fold to the same state as the log from
// its beginning, with the same Hash. Snapshots are a short cut and never a
// source: all of them may be deleted at any time, and one that is of another
// version, damaged, ahead of the log or of another log is passed over, with a
// reason, as if it were not there.
//
// A snapshot names the record that it ends with, by its sequence, its time, its
// subject and its id. Newest reads that record of the log and takes the snapshot
// only if it is the same one. It carries the version of its format and of the
// fold (projection.FoldVersion); any other than this program's is passed over:
// there is no migration, only folding again.
//
// Encode and Decode stream, and Decode bounds what it takes of memory by what is
// stored. A Saver saves every so many records, once the fold has caught up, and
// keeps the newest three; it encodes a projection.Still and not the state, so that
// the fold is held up only while that is made. Verify holds what is stored against
// the log itself.
//
// The store is trusted as far as the log is: whoever may write there may make
// this program believe anything. The hash finds damage, and no forgery.
package snapshot
