// Package engine decides. It holds the one rule of the project, Reconcile,
// which says what lies between the fleet that an inventory asks for and the
// fleet that the log tells of; Hold, which says what of that must wait for a
// safeguard; and Dispatch, which says which part of the rest to publish now.
// The same rules plan, are asked again before an action is carried out (of Hold,
// what HoldsInFlight says), and are asked once more, years later, by an audit.
// There is no second copy of them: Incremental, for whoever decides after each
// change of a large fleet, asks the same rules of the nodes that changed.
//
// # What it promises
//
// A decision follows from its arguments alone: the same arguments give the
// same answer, to the byte, on any machine and at any time. Arguments are never
// changed. Reconcile cannot fail, and takes time linear in the nodes of both
// sides.
//
// EnableStrictEnforcement is planned only when every desired node is present
// and can sign. Blocking names the nodes that keep it away. Nodes that nobody
// desires (ghosts) never do. A fleet that is strict already stays strict while
// a node fails, unless the inventory asks to relax.
//
// Carrying out a whole plan and deciding again gives an empty plan, or only the
// flip to strict that the first had to withhold; after that, an empty plan.
//
// # Order
//
// The actions of a plan stand in phases: enrollments, credentials,
// decommissions, relaxing, enforcing. The first two are in inventory order, the
// third in observed order. Dispatch keeps the order of the plan, and its cap
// never lets a later phase overtake an earlier one.
//
// # What the caller must do
//
//   - Give an inventory and an observed state in which no id stands twice. (If
//     one does, its first mention in the observed state counts.)
//   - Tell an Incremental of every change before it decides.
//   - Fold the log to its end before deciding, and publish only if nothing was
//     decided meanwhile. The engine cannot know how old its arguments are.
//   - Pass the plan through Hold, and what Hold allows through Dispatch.
//   - Check Safeguards and a Policy with Validate before they are used.
//   - Take the time once and pass it in; decide again at Dispatched.Wake and
//     at HoldEnds.
//   - Wait for every outcome of a phase before acting on the next.
//   - Record RuleVersion with each decision.
//
// # What it never does
//
// It reads no clock, file or environment, starts no goroutine, logs nothing and
// draws no random number that could be seen in an answer. It does not look at
// widths, times to live, trust domain, roles or attestors: those concern how an
// action is carried out, not whether it is wanted.
package engine
