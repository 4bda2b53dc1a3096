// Package index finds the place of a name in a list that its caller keeps.
//
// A Table holds no names and no pointers, only eight bytes for each slot: so it
// costs a third of a map of the same size, the garbage collector never looks
// into it, and filling it anew allocates nothing.
//
// # What it promises
//
// Who asks for the places of a hash is given all that were added with it, and
// seldom another. The hash is seeded, so that nobody can choose names that
// collide. The seed decides only where an entry lies, and how many strangers are
// met on the way, never what is found.
//
// # What the caller must do
//
//   - Compare each place that Probe gives with the name that is looked for.
//   - Add a place once, and keep at most MaxPlace of them.
//   - Let nobody read while something is added.
//
// # What it never does
//
// It deletes nothing: a table that has to shrink is filled anew after Reset.
package index
