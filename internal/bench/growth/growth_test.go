package growth

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/bench"
)

func results(values ...any) (all []bench.Result) {
	for i := 0; i < len(values); i += 3 {
		all = append(all, bench.Result{Name: values[i].(string), Value: values[i+1].(float64), Unit: values[i+2].(string), N: 1})
	}
	return all
}

func TestLinesAreNamesWithSeveralSizes(t *testing.T) {
	rows := []bench.Row{
		{Name: "engine/full/10", Bound: bench.Bound{Must: 300}},
		{Name: "loop/10", Bound: bench.Bound{Must: 2, OfRatio: true}},
	}
	got := Lines(rows, results(
		"engine/full/1000", 40.0, "ns",
		"fold/memory", 2e6, "events/s", // no size
		"engine/full/10", 4.0, "ns",
		"presence/100000", 0.2, "cores", // one size
		"presence/100000/lost", 0.0, "nodes",
		"loop/10", 7.0, "ms",
		"loop/20", 0.0, "ms", // has no logarithm
		"loop/30", 9.0, "ms",
		"engine/full/1000", 50.0, "ns", // measured again
		"loop/30", 9.0, "MB", // another unit
	))
	want := []Line{
		{Name: "engine/full", Unit: "ns", Points: []Point{{10, 4, 300}, {1000, 50, 0}}},
		{Name: "loop", Unit: "ms", Points: []Point{{10, 7, 0}, {30, 9, 0}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("lines are %+v, want %+v", got, want)
	}
}

func TestAPictureIsWellFormedNamesItsLinesAndIsTheSameEachTime(t *testing.T) {
	measured := results(
		"engine/full/1000", 4e4, "ns", "engine/full/1000000", 5e7, "ns", "decide/1000", 4e2, "ns", "decide/1000000", 5e2, "ns",
		"restart/1000", 0.004, "s", "restart/1000000", 2.5, "s", "memory/1000", 300.0, "B", "memory/1000000", 310.0, "B",
	)
	draw := func() []byte {
		var b bytes.Buffer
		if err := WriteSVG(&b, []bench.Row{{Name: "restart/1000", Bound: bench.Bound{Must: 5}}, {Name: "restart/1000000", Bound: bench.Bound{Must: 5}}}, measured); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	svg := draw()
	var said []string
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			said = append(said, strings.Fields(string(text))...)
		}
	}
	for _, want := range []string{"engine/full", "decide", "restart", "memory", "restart, must", "ns", "1k", "1M", "nodes"} {
		if !strings.Contains(" "+strings.Join(said, " ")+" ", " "+want+" ") {
			t.Errorf("the picture says %q, not %q", said, want)
		}
	}
	if !bytes.Equal(svg, draw()) {
		t.Error("the same results give another picture")
	}
}

func TestNothingToDrawIsAnError(t *testing.T) {
	var b bytes.Buffer
	err := WriteSVG(&b, nil, results("engine/full/10", 1.0, "ns", "fold/memory", 1.0, "events/s"))
	if !errors.Is(err, ErrNothingToDraw) || b.Len() > 0 {
		t.Errorf("error is %v, and %d bytes are written", err, b.Len())
	}
}
