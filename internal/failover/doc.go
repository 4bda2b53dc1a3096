// Package failover runs whole fleets, each in one process and in fake time, with
// two of every service, and takes one away in the middle of its work.
//
// The package is its tests. Server, planners, executors with their built-in
// handlers, and agents are the real ones; each has a connection of its own, as
// a process would. A member that is killed loses its connection first, so that
// it can give nothing back and say no farewell. Afterwards pkg/audit must
// find nothing wrong with the log, and the time until the fleet has converged
// must stay within what the mechanism promises. Since the time is fake, a bound
// is about waits only, never about how fast a machine is.
//
// Renewals and rotations are told here, too: of days and hours, of messages that
// get lost and agents that crash between two steps, all of which must need no
// action.
package failover
