// Package growth draws how what fleetfold costs grows with the number of nodes:
// `fleetfold bench --plot FILE`.
//
// # What is drawn
//
// Rows whose names differ only in a number at the end, such as
// "engine/full/1000" and "engine/full/1000000", are one line. Lines of one unit
// share a panel, and both axes are logarithmic, so that what is linear has the
// slope of the grid. A dashed line is what must be reached. A name of one size
// only has nothing to show, and is left out.
//
// # What the caller must do
//
// Measure; this package runs nothing. The same results give the same bytes, so
// that a plot in a repository changes only with what was measured.
package growth
