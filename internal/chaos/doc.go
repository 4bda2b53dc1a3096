// Package chaos runs a whole fleet as real processes, kills, stops and restarts
// them by a seeded schedule while the inventory changes, and then holds the log
// to its promises.
//
// The package is its test. A run has two halves. In the wild half each step of
// the schedule kills a process (as kill -9 does), stops one for a while, asks
// one to end, or edits the inventory; nobody is spared, the server included. In
// the quiet half everything runs again, and then
//
//   - the fleet must converge to the last inventory within a bound,
//   - pkg/audit must find nothing wrong with the log,
//   - every append that the log acknowledged to a bystander must be on it, where
//     the acknowledgement said, and under the condition it was made on,
//   - and so must all appends of the register clients. These contend for a few
//     subjects by appends that are fenced on what a client has read, alone or in
//     batches, and write down when each was called and returned and what came of
//     it; there must be an order in which all may have happened one by one.
//
// With three servers the servers have a schedule of their own: it begins by
// killing the leader of the log, and goes on with the leader or any other, one
// at a time, but for the times when all are killed.
//
// The seed decides the schedule; how the processes race is up to the machine.
// A failure prints the seed and the story of what was done and what ended when.
// CHAOS_SECONDS, CHAOS_SEED, CHAOS_NODES and CHAOS_SERVERS set length, seed and
// size. Artifacts are the logs of all processes, the fleet's log, and the
// history of the registers, with a picture of it where it has no order.
package chaos
