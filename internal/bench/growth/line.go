package growth

import (
	"cmp"
	"path"
	"slices"
	"strconv"

	"github.com/fleetfold/fleetfold/internal/bench"
)

// Line is one value at several numbers of nodes.
type Line struct {
	// Name is that of its rows without the number, such as "engine/full".
	Name string
	Unit string
	// Points are in order of nodes, each number once.
	Points []Point
}

// Point is a value, and what it must reach.
type Point struct {
	Nodes int
	Value float64 // in the line's unit
	Must  float64 // the same; 0 where nothing is asked, or a ratio
}

// Lines are the results that were measured at two sizes or more, in the order in
// which the first of each came. Of a size that was measured again the newest
// counts. A value of 0 or less has no place on a logarithmic axis and is left out.
func Lines(rows []bench.Row, results []bench.Result) (lines []Line) {
	for _, r := range results {
		name, nodes, ok := sized(r.Name)
		if !ok || r.Value <= 0 {
			continue
		}
		at := slices.IndexFunc(lines, func(l Line) bool { return l.Name == name && l.Unit == r.Unit })
		if at < 0 {
			at = len(lines)
			lines = append(lines, Line{Name: name, Unit: r.Unit})
		}
		lines[at].put(Point{Nodes: nodes, Value: r.Value, Must: mustOf(rows, r.Name)})
	}
	return slices.DeleteFunc(lines, func(l Line) bool { return len(l.Points) < 2 })
}

func (l *Line) put(p Point) {
	at, found := slices.BinarySearchFunc(l.Points, p, func(a, b Point) int { return cmp.Compare(a.Nodes, b.Nodes) })
	if found {
		l.Points[at] = p
		return
	}
	l.Points = slices.Insert(l.Points, at, p)
}

// sized splits "engine/full/1000" at the last slash.
func sized(name string) (of string, nodes int, ok bool) {
	of, last := path.Split(name)
	nodes, err := strconv.Atoi(last)
	return path.Clean(of), nodes, err == nil && nodes > 0 && of != ""
}

func mustOf(rows []bench.Row, name string) float64 {
	at := slices.IndexFunc(rows, func(r bench.Row) bool { return r.Name == name })
	if at < 0 || rows[at].Bound.OfRatio {
		return 0
	}
	return rows[at].Bound.Must
}
