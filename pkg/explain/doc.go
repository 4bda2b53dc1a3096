// Package explain says why: why a node is as it is, why an action was wanted and
// what came of it, which nodes keep strict enforcement off. And why not: what
// holds something up, and until when.
//
// # What it promises
//
// An explanation follows from the log, the inventories on it and one moment in
// time. Each sequence in it is that of a record that stands there and is of the
// type that is named. What it says to hold since a record holds in the fold of
// every beginning of the log from that record on, and did not just before.
//
// Nothing is decided here a second time: what the plan wants, what is held, what
// waits and which nodes stand in the way of strict enforcement are the answers of
// package engine on the fold, by package decide's reading of it. Each action that
// the plan wants is in exactly one State; where the plan wants nothing of a node
// and nothing is in flight for it, the verdict is that there is nothing to do.
//
// # How
//
// An Explainer reads the log once, from the beginning. Beside the fold it keeps
// what concerns its subject: a step is a record that names it, or after which the
// fold believes anything else of it, whatever kind of record that was. So what
// changed is not told from a list of event types, but by looking. For enforcement
// it also keeps, of each node, since when it is present and can sign.
//
// Steps are bounded by MaxSteps, the rest by the size of the fold.
//
// # What it does not know
//
// Which executor carries an action out is not on the log, nor is whether a
// planner is warm beyond what the newest plan says. A node's agent may have
// reasons of its own.
//
// # What the caller must do
//
// Hand over every record in order, and give the time by which holds and backoffs
// are judged. To explain the present that is the clock, to explain a file the
// time of its last record. A name that may be an action's is looked up by Find,
// which reads the log once more.
package explain
