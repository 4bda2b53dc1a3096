// Package merkle makes a log that cannot be rewritten unseen: each record is a
// leaf of a Merkle tree (RFC 6962), and whoever kept one root of the tree can
// tell whether a longer log still begins with what that root stands for.
//
// What it promises: LeafOf gives the same hash for the same record for ever, on
// any machine, from a live log or from a file; the encoding under it is written
// down at AppendRecord, so that anybody can make the hash without this program.
// Tree, proofs and notes are those of golang.org/x/mod/sumdb, and a checkpoint
// is a signed note as other transparency logs write it.
//
// In which order: the record with sequence n is the leaf with index n-1, so a
// tree of size n holds the log up to and with sequence n. Leaves are appended
// in the order of the log. A Frontier needs memory for the logarithm of their
// number only; a Prover is told first what is to be proved, so that it keeps
// what the proofs need, and nothing else, while the log goes by; a Recent also
// knows the roots of the last few thousand sizes.
//
// What the caller must do: append every record once, without a gap, and decide
// whose key is believed. A checkpoint that nobody kept outside of the log's
// reach proves nothing against the holder of the key.
//
// What it never does: read the clock or the log.
package merkle
