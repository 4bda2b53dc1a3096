// Package planner senses, decides and publishes.
//
// The sensor is the border between nodes, which are not trusted, and the log:
// it turns first heartbeats, ended leases and verified proofs into facts. The
// decider folds the log, asks engine.Reconcile what is to be done, engine.Hold
// what of it must wait for a safeguard and engine.Dispatch what of the rest to
// do now, and publishes the answer as one atomic batch.
//
// What it promises. Each fact is appended under the condition that the node's
// facts are still the ones it was concluded from, and each plan under the
// condition that no other plan came between; losing such a race means to fold
// on and conclude again. Any number of planners may therefore run side by
// side. Nothing is decided on a log that has not been read to its end, and no
// node is called lost before one whole lease has been watched since the start
// or since the lease stream began anew. Until each node that the log calls
// present has been seen once, or that lease has passed, nothing is
// decommissioned and strict enforcement is not switched on. An outage of the bus
// counts as a start. Neither is published on a view that has stalled: just
// before, the log has to confirm that the fold is whole.
//
// No message stops a planner. What nodes say and does not hold is refused and
// counted; what does not fit on the log is folded over, counted and logged. When
// nothing can be decided, as on an inventory that cannot be read, Trouble says
// why, and the planner goes on by itself once it can.
//
// What the caller owes: the View's Run beside the Planner's Run, and streams
// that exist.
package planner
