// Package refusals puts onto the log what was refused to nodes, so that
// "fleetfold log" and every audit show it: message.refused.
//
// What it promises. The first refusal of a channel, node and reason is told at
// once, and then one fact a minute tells how many there were. Of 256 kinds at
// most are facts of their own; the rest is summed up. No recorder appends two within
// a second, and all together not two within half of one: nobody can fill the log by
// being refused, or keep the flip to strict from a moment in which nothing is
// appended. What others wrote is bounded and cannot move a cursor.
//
// What the NATS server refuses and what the receivers of nodes report is recorded in
// the same way.
//
// Planners all read the same messages, and tell of each once (Config.Shared).
// Requests of nodes reach one executor each, so that each tells of its own.
//
// In which order things happen: Add counts, Tell appends what is due, on the
// condition that nobody else said anything of refusals that was not read here;
// Run does it by itself. What a process has not told when it ends is not told.
//
// What the caller must do: hand each record that the view folds to OnRecord.
package refusals
