// Package doctor judges how a fleet's server, log and services are: facts in,
// findings out. It asks nobody and reads no clock.
//
// Examine runs every check on one set of facts, always all of them and in one
// order, so that a program can rely on their names. What could not be asked is
// unknown, which is not the same as well.
//
// A new check is one function from Facts to a Finding and one line in checks.
// Whoever collects the facts says in Facts why they are missing.
package doctor
