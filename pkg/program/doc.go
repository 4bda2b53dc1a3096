// Package program asks another program one question: it gets its input, a time
// limit and a bound on its answer.
//
// It promises that a program that hangs, crashes or prints without end harms
// nobody: Ask ends within its limit and a second, keeps 16 KiB of an answer, and
// everything but an exit with 0 is an error. What a program prints is never part
// of an error, for it could be a secret; what it says on standard error is.
//
// The caller chooses the program, which runs with the caller's rights and
// environment.
package program
