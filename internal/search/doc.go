// Package search looks at every state that a small fleet can reach within some
// steps, and checks in each that no promise is broken. It is a model, but only
// of what stands around the decisions: the fold is projection.State, what is
// planned and decided again is what pkg/decide says of it, by engine.Reconcile,
// engine.Hold and engine.Dispatch, and ids are engine.ActionIDFor and
// engine.PlanIDFor, all of them the real ones.
//
// # The promises
//
//   - flip: enforcement.enabled is never stored behind a log whose fold has a
//     desired node absent or unable to sign, or whose inventory does not ask
//     for strict enforcement.
//   - once: an action is published once and has one outcome; none is
//     acknowledged without an outcome; no handler begins behind the outcome.
//   - order: no handler begins, and no outcome is stored, while the same plan
//     has an action of an earlier phase without an outcome.
//   - held: no planner publishes, and no handler begins, what a safeguard holds on
//     the fold that was decided on: a pause, blindness, the quorum, a removal
//     without approval. enforcement.enabled is never stored while the fleet is
//     paused. Whether a safeguard holds is told a second time here, and shares
//     nothing with the engine.
//   - plans whole: a plan is on the log whole and in one piece, or not at all.
//
// # What can happen
//
// In each state, each of these is tried:
//
//   - A planner publishes what it decides on its view (decide.Plan, settled and
//     not, and decision.batch in pkg/planner). A planner keeps nothing that
//     matters between two steps, so the model has no planners but views: every
//     beginning of the log is the view of some planner. Two of them that race,
//     one that lags, one that crashed and started again, and one that did not
//     learn that its batch was stored are all among these.
//   - A sensor appends what the log lacks about a node (sensor.facts).
//   - One of two executors takes up an action that is not acknowledged, also one
//     that the other works on (scheduler.startReady and its barriers), folds to
//     the end and decides again (Executor.decide, decide.Wanted, decide.Holds),
//     and begins; does the next step of its handler (pkg/executor/handlers);
//     stops because the action is no longer asked for (Executor.watch,
//     decide.StillAsked); gives up; stores closing facts and outcome in one
//     batch (Executor.settle, succeeded, failed, refused), and when that race is
//     lost, finds the outcome or decides again; acknowledges (finish). Everybody
//     else may move between any two of these.
//   - An executor crashes and forgets what it did, or an acknowledgement is
//     lost. An append that was stored and whose confirmation was lost is the
//     same as the latter.
//   - The world changes: a node dies, comes back, or starts anew without its
//     key; another inventory is applied; somebody pauses or resumes the fleet or
//     a node, or approves a removal as they saw it a while ago.
//
// The log compares and stores as eventlog.Memory does: LastOnSubject,
// LastInLog, and batches that are stored whole or not at all. It is read event
// by event, so that a view may end inside a batch.
//
// # Bounds
//
// Worlds lists the fleets: up to two nodes, one to three inventories, and
// thresholds so low that two nodes can reach them. Each world has a budget of
// changes and of faults (crash, lost acknowledgement, redelivery to the second
// executor, failing handler), and is searched to a depth in steps. Within these
// bounds the search is complete. States that differ only in which executor is
// which are one state, and of the views that give the same plan only the
// freshest is tried, since nothing depends on the basis it names but whether a
// safeguard held there, and that is checked on all of them.
//
// # The guards
//
// Guards lists the rules that keep the promises. Each can be taken out of the
// model, and a test demands that something breaks then; the shortest story of
// how is in testdata. A search that finds nothing when a guard is missing would
// prove nothing when it is there.
//
// # What is not covered
//
// Time: a planner is always so late that backoffs are over and nobody is just
// lost or flapping, which only allows more. Regions: there is one, and nobody
// pauses it. Liveness: nobody checks that a fleet converges. Larger fleets, more
// than two actions under way at once, credentials that run out (the fold treats
// them as revoked), farewells (it treats them as losses), MaxInFlight, events
// that do not fit, and what NATS and the codec do with the bytes. A handler
// begins, for the model, when the decision is made: between that moment and its
// first line an executor can stall, and another one store the outcome, and
// nothing can prevent that. That is why handlers must bear to be run again.
package search
