//go:build unix

package chaos

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
)

// TestMain lets the tests run programs: the real services, and two of their own.
func TestMain(m *testing.M) {
	service := func(cmd func() *cobra.Command) func() {
		return func() { os.Exit(cli.Main(cmd())) }
	}
	testscript.Main(m, map[string]func(){
		"planner":      service(plannercmd.New),
		"executor":     service(executorcmd.New),
		"node-agent":   service(agentcmd.New),
		"chaos-server": program(untilTerm(serve)),
		"chaos-writer": program(write),
	})
}

func program(run func(args []string) error) func() {
	return func() {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func untilTerm(run func(args []string, ended <-chan os.Signal) error) func(args []string) error {
	return func(args []string) error {
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		return run(args, ended)
	}
}
