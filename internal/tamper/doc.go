// Package tamper is a history and the ways to change a file of it: what must be
// found by whoever reads exports. Each way says what has to be known beside the
// file for that, and where the fault is.
package tamper
