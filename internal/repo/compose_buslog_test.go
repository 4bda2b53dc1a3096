package repo

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/fleetfold/fleetfold/pkg/busconf"
)

// The planner reads the very file that the server is told to write, from a volume
// that it cannot write to.
func TestComposeReadsWhomTheServerRefuses(t *testing.T) {
	project := loadCompose(t)
	initial, planner := project.Services["init"].Command, project.Services["planner"]
	at := slices.Index(initial, "--server-log-dir")
	if at < 0 || at+1 >= len(initial) {
		t.Fatalf("init runs %q", initial)
	}
	dir := initial[at+1]
	file := parse(t, planner.Command).Flags().Lookup("bus-log").Value.String()
	if want := (busconf.Config{LogDir: dir}).LogFile(); file != "["+want+"]" {
		t.Errorf("the planner reads %s, the server writes %s", file, want)
	}
	from := func(name string) types.ServiceVolumeConfig {
		for _, v := range project.Services[name].Volumes {
			if v.Target == filepath.ToSlash(dir) {
				return v
			}
		}
		t.Fatalf("%s has nothing mounted at %s", name, dir)
		return types.ServiceVolumeConfig{}
	}
	writes, reads := from("nats"), from("planner")
	if writes.Source != reads.Source || writes.ReadOnly || !reads.ReadOnly {
		t.Errorf("nats writes to %q (read only: %v), the planner reads from %q (read only: %v)", writes.Source, writes.ReadOnly, reads.Source, reads.ReadOnly)
	}
	// The server's files are for root's group, and the image's user is in none.
	if !slices.Contains(planner.GroupAdd, "0") {
		t.Errorf("the planner is in the groups %q", planner.GroupAdd)
	}
}
