// Package logfilter picks records out of a log: by what they concern, and by
// where they stand in it.
//
// A place is a sequence, a moment, or a duration back from now. A moment is found
// by halving the log, which takes a handful of reads of a long one; that rests on
// the times of the log growing with its sequence, as they do up to the clocks of
// the servers of a cluster.
package logfilter
