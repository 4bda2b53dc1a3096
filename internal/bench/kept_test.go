package bench

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestReportsJoinInTheOrderOfRowsAndTheLastCounts(t *testing.T) {
	old := Report{Machine: Machine{Cores: 2}, Results: []Result{{Name: "fold/memory", Unit: "events/s", Value: 1}, {Name: "engine/full/10", Unit: "ns", Value: 1}}}
	fresh := Report{Machine: Machine{Cores: 2}, Results: []Result{{Name: "fold/memory", Unit: "events/s", Value: 2}}}
	got, err := Joined(old, fresh)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{{Name: "engine/full/10", Unit: "ns", Value: 1}, {Name: "fold/memory", Unit: "events/s", Value: 2}}
	if !reflect.DeepEqual(got.Results, want) {
		t.Errorf("joined are %+v, want %+v", got.Results, want)
	}
	fresh.Machine.Cores = 4
	if _, err := Joined(old, fresh); err == nil {
		t.Error("reports of two machines are one")
	}
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	floor, ratio := 2.0, 0.5
	want := Report{Machine: ThisMachine(), Results: []Result{{Name: "fold/jetstream", Unit: "events/s", Value: 1, Floor: &floor, Ratio: &ratio, N: 3}}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadReport(bytes.NewReader(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
	for _, bad := range []string{"", "[]", `{"result":[]}`, `{"results":[{"name":"fold/jetstream","unit":"ns"}]}`} {
		if _, err := ReadReport(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for a report", bad)
		}
	}
}

func TestATableForAPageSaysWhatIsReached(t *testing.T) {
	ratio := func(v float64) *float64 { return &v }
	report := Report{Machine: Machine{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1"}, Results: []Result{
		{Name: "engine/full/10", Unit: "ns", Value: 1},
		{Name: "engine/full/1000", Unit: "ns", Value: 30_000},
		{Name: "fold/jetstream", Unit: "events/s", Value: 3, Floor: ratio(6), Ratio: ratio(0.5)},
	}}
	var b bytes.Buffer
	if err := WriteMarkdown(&b, report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"linux/amd64, 2 cores, go1\n\n| name |",
		"| `engine/full/10` | 1.00 ns | - | - | <=300 | <=150 | aim |",
		"| `engine/full/1000` | 30000 ns | - | - | <=60000 | <=25000 | yes |",
		"| `fold/jetstream` | 3.00 events/s | 6.00 | 0.50 | >=0.8x | >=0.95x | **short** |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("table has no %q:\n%s", want, &b)
		}
	}
}
