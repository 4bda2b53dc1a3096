// Package benchgate fails when what decides and folds has become slower in a way
// that shows on any machine: by allocations, by bytes, and by the ratio of two
// costs that were measured one beside the other. It never looks at a time alone.
//
// Its tests are built with the tag benchgate, apart from all others, because they
// need a processor that nobody else keeps busy: `make bench-gate`.
package benchgate
