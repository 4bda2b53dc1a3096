// Package cli is what all commands of fleetfold share: how flags meet the
// environment, how errors become words and exit codes, and how a logger is made.
//
// Main runs a command tree. It promises:
//
//   - SIGINT and SIGTERM cancel the command's context; a second signal ends the
//     process at once.
//   - Each flag --foo-bar takes its default from FLEETFOLD_FOO_BAR, the help
//     says so, and the command line beats the environment. An empty variable
//     counts as not set.
//   - Exit codes: 0 is done, 64 a command that was called wrongly, 130 one that
//     a signal stopped before it was done, the code of an Exit, and 1 any other error.
//   - An error goes to standard error as "error: ..." and, where somebody knows
//     what to do about it, "hint: ...". Standard output holds results only.
//
// What the caller must do: build the tree with cobra, give every command a
// Short and an Example, and return errors instead of printing them. CheckHelp
// in package clitest holds the tree to it.
package cli
