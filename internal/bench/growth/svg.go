package growth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/fleetfold/fleetfold/internal/bench"
)

// ErrNothingToDraw says that nothing was measured at two sizes.
var ErrNothingToDraw = errors.New("nothing was measured with two numbers of nodes")

// Size of a panel, and the space around it.
const (
	panelWidth  = 10 * vg.Centimeter
	panelHeight = 7.5 * vg.Centimeter
	margin      = 0.5 * vg.Centimeter
	columns     = 2
)

// WriteSVG draws the results of those rows. It fails with ErrNothingToDraw
// where no name has two sizes.
func WriteSVG(w io.Writer, rows []bench.Row, results []bench.Result) error {
	lines := Lines(rows, results)
	if len(lines) == 0 {
		return ErrNothingToDraw
	}
	var panels []*plot.Plot
	for _, unit := range units(lines) {
		others := func(l Line) bool { return l.Unit != unit }
		p, err := panel(unit, slices.DeleteFunc(slices.Clone(lines), others))
		if err != nil {
			return fmt.Errorf("draw what is in %s: %w", unit, err)
		}
		panels = append(panels, p)
	}
	return write(w, panels)
}

// units are those of the lines, each once, in their order.
func units(lines []Line) (all []string) {
	for _, l := range lines {
		if !slices.Contains(all, l.Unit) {
			all = append(all, l.Unit)
		}
	}
	return all
}

// write puts the panels in rows on one picture.
func write(w io.Writer, panels []*plot.Plot) error {
	wide := min(len(panels), columns)
	grid := slices.Collect(slices.Chunk(panels, wide))
	if last := len(grid) - 1; len(grid[last]) < wide {
		grid[last] = append(slices.Clone(grid[last]), make([]*plot.Plot, wide-len(grid[last]))...)
	}
	canvas := vgsvg.New(vg.Length(wide)*panelWidth, vg.Length(len(grid))*panelHeight)
	tiles := draw.Tiles{
		Cols: wide, Rows: len(grid), PadX: margin, PadY: margin,
		PadTop: margin / 2, PadBottom: margin / 2, PadLeft: margin / 2, PadRight: margin,
	}
	for i, row := range plot.Align(grid, tiles, draw.New(canvas)) {
		for j, tile := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(tile)
			}
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	// Whoever looks at it may not have the font that the library names alone.
	_, err := w.Write(bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;")))
	return err
}
