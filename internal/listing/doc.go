// Package listing writes lists of things as a table or in the forms that
// machines read, and shows how a list changes.
//
// The same list gives the same text. An empty one gives an empty JSON list, and
// nothing at all in the other forms: that there is nothing is for the caller to
// say, on standard error.
package listing
