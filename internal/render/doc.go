// Package render turns plans and other answers into what a person reads at a
// glance and what a machine reads as JSON.
//
// It writes to what it is given, decides nothing, and returns the first error
// of writing. Colours are an option, so that the same text is there without
// them; [Colour] says whether they suit a writer.
package render
