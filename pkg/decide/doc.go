// Package decide asks the engine about a fold of the log: the one place where a
// projection.State and an inventory are put before engine.Reconcile, engine.Hold
// and engine.Dispatch. Planners ask it what to publish, executors whether what
// was published is still to be done, and whoever checks them asks the same
// functions.
//
// # What it promises
//
// Plan is a planner's whole decision, and Wanted and Holds.Of are an executor's
// second one, by the same rules. What they say follows from their arguments
// alone: they read no clock and change nothing. What Holds.Of holds on a fold,
// Plan holds on that fold too, given the same safeguards; so an action that an
// executor refuses is not published again before the log has moved on.
//
// # Cost
//
// Plan is linear in the nodes of both sides. Incremental gives the same decision
// for what has changed since the last one and what the plan holds: planners, and
// Holds, decide by it, and Plan is what it is held against. Wanted is constant for the actions
// of a node, for what Reconcile says of a node follows from that node alone.
// Holds.Of is constant for credentials and for the enrolment of a node that is
// not lost, which only a pause can hold; for everything else it is that of
// Incremental once for each fold, and constant for whoever asks on the same fold
// again.
//
// # What the caller must do
//
//   - Lend the state for the length of the call, and let nobody fold meanwhile.
//   - Give the inventory in force on that fold.
//   - Keep one Holds and one Incremental for one log, and one Desired for one
//     inventory: with another, they look at the whole fleet again.
//
// # What it never does
//
// It fetches no inventory and appends nothing. It never asks Hold about relaxing
// on an executor's behalf: relaxing waits for nobody.
package decide
