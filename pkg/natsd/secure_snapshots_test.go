package natsd_test

import (
	"io"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/busconf"
)

// Everybody who folds the log may begin with a snapshot; only planners keep them.
func TestEverybodyReadsSnapshotsAndPlannersKeepThem(t *testing.T) {
	inEachMode(t, everybodyReadsSnapshotsAndPlannersKeepThem)
}

func everybodyReadsSnapshotsAndPlannersKeepThem(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode)
	large := strings.Repeat("0123456789abcdef", 1<<19) // several answers
	for n, content := range []string{"", "small", large} {
		if _, err := b.planner.PutSnapshot(patience(t), uint64(n), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.planner.DeleteSnapshots(patience(t), 2); err != nil {
		t.Fatal(err)
	}
	for _, r := range busconf.Services {
		bus := b.bus(r)
		list, err := bus.Snapshots(patience(t))
		if err != nil || len(list) != 2 {
			t.Errorf("%s finds %+v, %v", r, list, err)
			continue
		}
		for i, want := range []string{large, "small"} {
			reader, err := bus.OpenSnapshot(patience(t), list[i].Name)
			if err != nil {
				t.Errorf("%s: %v", r, err)
				continue
			}
			got, err := io.ReadAll(reader)
			if closeErr := reader.Close(); err != nil || closeErr != nil || string(got) != want {
				t.Errorf("%s reads %d bytes of snapshot %s, want %d: %v, %v", r, len(got), list[i].Name, len(want), err, closeErr)
			}
		}
		if r != busconf.Planner {
			b.as(r).mustNotPublish("$O.FLEET_SNAPSHOTS.M.x", "$O.FLEET_SNAPSHOTS.C.x")
		}
	}
}
