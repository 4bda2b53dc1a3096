// Package audit decides a fleet's whole history again from its log, and says
// where the log differs from what the rules give.
//
// # What it promises
//
// Run folds a log from its first record and looks at each record on the fold of
// everything before it. Of every plan ever published it makes the decision again,
// on the fold of its basis, with the inventory of that time, by what the plan says
// it was given, and by the version of the rule that it names; and compares what is
// published, in which order, under which ids, and what is held and why. It
// verifies each proof against the trust bundle, the issuers and the inventory as
// they were then, the signature of each issuer's certificate, each checkpoint, and
// the rules of pkg/history. What it finds are values: a Difference names the
// sequence, what is wrong, what should be there and what is.
//
// A log that honest planners, executors and nodes wrote has no differences, however
// they were killed, restarted and doubled. The same log gives the same report, at
// any time and on any machine.
//
// Walk is the fold beneath it: it shows each record and each decision point to its
// caller, in order. Replay asks it what another inventory or other thresholds would
// have led to.
//
// # In which order
//
// A plan stands behind its basis, so a decision can be made again only once its
// plan is known: Walk reads ahead to the next plan, folds up to its basis, shows
// the decision point, and folds on. The fences of plans make bases grow, so one
// pass does; where planners share a fleet they do so for each shard, and each has a
// pass of its own from its first plan on. Records between are kept, 2048 at most; a plan that is further away is
// looked for by a second reader.
//
// # What it costs
//
// Memory follows the state and not the history, once more for each shard that there
// ever was. Each plan costs time linear in the
// nodes of the fleet, each proof two to three signatures.
//
// # What the caller must do
//
// Give a Source that shows the same log to each reader, from the first record on
// and without an end that moves.
//
// # What it never does
//
// It reads no clock and appends nothing. It does not know whether the log that it
// is shown is all of it, or the one that others saw: a checkpoint that was kept
// elsewhere tells.
package audit
