// Package fleetday runs a whole fleet in one process and in fake time: the
// server with its files, two planners, two executors with the real handlers,
// and an agent for each node, all with the settings that users have.
//
// The package is its test. Inside a bubble of testing/synctest the clock moves
// only when everybody waits, so that a lease, a backoff and a credential of an
// hour take as long as in life and no longer than the work in them, and a bound
// in a test is exact instead of generous. The stories:
//
//   - leases: who is called lost, when, and who needs no action;
//   - backoff: the waits between attempts, over a restart of the planner;
//   - deliveries: what happens to the action of an executor that dies;
//   - repetition: a message that is stored again changes nothing;
//   - restarts: the server goes and comes back at the worst moments;
//   - a day: hours of a fleet whose credentials end, whose nodes and services
//     die and return by a seed, and whose inventory changes, with the log held
//     to its promises each hour by pkg/audit.
//
// A process that is killed is cut off from the server first, so that nothing of
// what it does while it ends can reach anybody.
//
// DAY_HOURS and DAY_SEED set length and schedule of the day.
package fleetday
