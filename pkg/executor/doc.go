// Package executor is the kit for carrying out the actions of a fleet's log.
// Its user brings one Handler for each type of action; the kit brings the
// order, the second decision, the outcome and the recovery.
//
// # What it promises
//
//   - Every action that is taken up ends in exactly one outcome on the log:
//     action.succeeded, action.failed or action.refused. An action that has one
//     is acknowledged and never run again.
//   - Before a handler runs, the kit decides again, on the end of the log or on
//     a fold that was there at most 10 ms ago; on the end of the log always for
//     what cannot be taken back, for a node that is lost, and for what was handed
//     out before. It decides with the same rules as the planner and the inventory
//     then in force. What is no longer wanted, or what a safeguard holds by then
//     (a pause, blindness, the quorum, a removal without approval), is refused,
//     and the refusal is on the log before the action is acknowledged.
//   - The facts that a handler returns and the outcome are stored as one batch
//     or not at all. If one of their fences does not hold, the kit folds on,
//     decides again and runs the handler again, until the action's deadline.
//   - A message that is no action anybody could carry out is logged as an
//     error, counted and acknowledged; it never stops the rest.
//
// # Order
//
// Among the actions it holds, the kit takes them up in the order of the log, as
// many side by side as Concurrency says, one for each node, and one enforcement
// action. A handler that has ended makes room for the next while its outcome is
// stored. An action waits while its own plan has an action of an earlier phase
// without an outcome; while it waits it takes no slot. Concurrency 1 is strict
// one by one: nothing overtakes an action that waits, and the next begins when the
// outcome of the last is stored.
//
// # What a handler must do
//
//   - End when its context ends. The context ends at the deadline, when the
//     executor stops, and when the action is no longer wanted; not when a
//     safeguard begins to hold it, for what has begun is better finished.
//   - Be ready to run again for the same action: a crash, a lost race or another
//     executor's crash leaves it open how far the last run came. ActionID is the
//     same each time and names the attempt.
//   - Return its facts in Result.Closing rather than appending them, if they
//     must hold exactly when the action succeeded.
//   - Return a *Failure to choose the reason word of action.failed.
//
// # What it never does
//
// It never decides what should be done, never retries a failed action (the
// planner publishes another attempt), and records nothing for actions that it
// was running when it was told to stop: those are given back.
package executor
