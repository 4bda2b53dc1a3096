// Package repo holds the tests of the repository as a whole: which package may
// import which, how old a library may be, whether the documents point at things
// that exist, and whether the container files describe the programs there are.
// It has no code of its own.
package repo
