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
//   - internal/history must find nothing wrong with the log,
//   - every append that the log acknowledged to a bystander must be on it, where
//     the acknowledgement said, and under the condition it was made on.
//
// The seed decides the schedule; how the processes race is up to the machine.
// A failure prints the seed and the story of what was done and what ended when.
// CHAOS_SECONDS, CHAOS_SEED and CHAOS_NODES set length, seed and size.
package chaos
