// Package view keeps a fold of the log up to date while the log grows.
//
// It promises: the state that Read lends is always that of one prefix of the
// log, prefixes only get longer, and whoever waits is woken by the fold, never
// by a timer. Hooks see each record once, in order, before any reader sees a
// state that holds it.
//
// A message that does not fit is folded over; it stops nobody.
// A View made with Resume begins with a snapshot and folds the tail behind it.
// That is the same state; only the hooks see less: OnStart hands them what the
// snapshot holds, OnRecord what came after.
//
// The caller runs Run in a goroutine of its own; it ends with the context, or
// with an error when the log has a gap. From then on Wait and CatchUp return
// that error, so nobody waits for a fold that will not come.
//
// A View says what the log said a moment ago. Whoever must not act on an old
// state calls CatchUp first, and fences what it appends.
package view
