// Package fleet holds the nouns that every other package speaks in: the
// Inventory that a person wrote, the ObservedState that the log tells, and the
// Plan of Actions that lies between them.
//
// It is pure data and depends on the standard library only. Nothing here
// reads a clock, touches the network or writes a file.
package fleet
