// Package history checks a whole log for what a fleet promises of it, whoever
// wrote it and whatever happened meanwhile.
//
// It knows nothing of planners and executors: only the records count, and the
// fold of each prefix. So it can be put behind any run, however wild, and it
// holds the writers to their word without sharing their code.
//
// What it checks, by the name of the rule:
//
//   - gap: sequences count up from 1, none is missing.
//   - flip: enforcement.enabled stands only where the fold of everything before
//     it has an inventory that asks for it, and every desired node present and
//     able to sign.
//   - batch: plan.decided is followed by exactly its actions in their order,
//     with nothing in between; an action stands nowhere else; and no plan was
//     decided on a part of another one.
//   - once: an action id is published once. What an action brings about is
//     stored no later than its outcome.
//   - outcome: an outcome follows its action, names it rightly, and is the only one.
//   - phase: an outcome stands behind those of all earlier phases of its plan.
//   - proof: credential.proved answers the newest challenge that was issued to
//     that node, once.
//
// Check takes a whole log and folds it. A Checker takes it record by record
// beside a fold of its caller's; what it keeps is the newest plan and the actions
// without an outcome, however long the log is.
//
// What the caller must do: hand a Checker every record in order, each with the
// fold of everything before it, and End last. Both are pure but for the
// inventories, which they ask their caller for. Records that are no events are
// no violations: readers pass over them.
package history
