package growth

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// panel has the lines of one unit.
func panel(unit string, lines []Line) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = unit
	p.X.Label.Text = "nodes"
	p.Legend.Top, p.Legend.Left = true, true
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Legend.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	for i, l := range lines {
		if err := add(p, l, i); err != nil {
			return nil, err
		}
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, decades{}
		axis.Min, axis.Max = decade(axis.Min, math.Floor), decade(axis.Max, math.Ceil)
	}
	p.Y.Max *= 10 // room for the legend
	return p, nil
}

// add draws a line, and dashed what it must reach.
func add(p *plot.Plot, l Line, i int) error {
	var values, must plotter.XYs
	for _, at := range l.Points {
		values = append(values, plotter.XY{X: float64(at.Nodes), Y: at.Value})
		if at.Must > 0 {
			must = append(must, plotter.XY{X: float64(at.Nodes), Y: at.Must})
		}
	}
	line, points, err := plotter.NewLinePoints(values)
	if err != nil {
		return err
	}
	line.Color, points.Color, points.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
	line.Width = vg.Points(1.5)
	p.Add(line, points)
	p.Legend.Add(l.Name, line, points)
	if len(must) < 2 {
		return nil
	}
	limit, err := plotter.NewLine(must)
	if err != nil {
		return err
	}
	limit.Color, limit.Dashes = plotutil.Color(i), plotutil.Dashes(2)
	p.Add(limit)
	p.Legend.Add(l.Name+", must", limit)
	return nil
}

// decade is the power of ten that bounds v.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// decades are the marks of a logarithmic axis: one at each power of ten, with
// the letters that people count nodes and nanoseconds in.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := int(math.Round(math.Log10(low))); float64(e) <= math.Round(math.Log10(high)); e++ {
		ticks = append(ticks, plot.Tick{Value: math.Pow10(e), Label: short(e)})
	}
	return ticks
}

// short is a power of ten in few letters: 1k for 10^3.
func short(exponent int) string {
	switch {
	case exponent >= 9:
		return strconv.FormatFloat(math.Pow10(exponent-9), 'f', -1, 64) + "G"
	case exponent >= 6:
		return strconv.FormatFloat(math.Pow10(exponent-6), 'f', -1, 64) + "M"
	case exponent >= 3:
		return strconv.FormatFloat(math.Pow10(exponent-3), 'f', -1, 64) + "k"
	}
	return strconv.FormatFloat(math.Pow10(exponent), 'f', -1, 64)
}
