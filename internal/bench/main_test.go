package bench

import (
	"os"
	"os/exec"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/internal/leak"
)

// asPlanner makes this program the planner that benchmarks start.
const asPlanner = "BENCH_TEST_AS_PLANNER"

func TestMain(m *testing.M) {
	if os.Getenv(asPlanner) != "" {
		os.Exit(cli.Main(plannercmd.New()))
	}
	leak.Main(m)
}

func ownPlanner(t *testing.T) func(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command(self, args...)
		cmd.Env = append(os.Environ(), asPlanner+"=1")
		return cmd
	}
}
