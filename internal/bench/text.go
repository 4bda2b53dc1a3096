package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// Report is what `fleetfold bench -o json` prints.
type Report struct {
	Machine Machine  `json:"machine"`
	Results []Result `json:"results"`
}

// Heading is the first line of a table.
const heading = "NAME                           VALUE  UNIT            FLOOR   RATIO  MUST          N\n"

// WriteHeading writes the names of the columns that WriteResult fills.
func WriteHeading(w io.Writer) error {
	_, err := io.WriteString(w, heading)
	return err
}

// WriteResult writes a line of the table. "short" stands behind what does not
// reach what it must.
func WriteResult(w io.Writer, row Row, r Result) error {
	short := ""
	if !row.Bound.Met(r) {
		short = "  short"
	}
	_, err := fmt.Fprintf(w, "%-25s %10s  %-10s %10s  %6s  %-9s %5s%s\n",
		r.Name, number(r.Value), r.Unit, optional(r.Floor, number), optional(r.Ratio, ratioText), row.Bound, count(r.N), short)
	return err
}

// String is the limit as a table shows it, "-" for none.
func (b Bound) String() string {
	if b == (Bound{}) {
		return "-"
	}
	sign, limit := "<=", number(b.Must)
	if b.AtLeast {
		sign = ">="
	}
	if b.OfRatio {
		limit = strconv.FormatFloat(b.Must, 'g', -1, 64) + "x"
	}
	return sign + limit
}

func optional(v *float64, show func(float64) string) string {
	if v == nil {
		return "-"
	}
	return show(*v)
}

func ratioText(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// number has three figures, or all of those before the point.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + "M"
	case size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func count(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	case n >= 10_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return strconv.Itoa(n)
}
