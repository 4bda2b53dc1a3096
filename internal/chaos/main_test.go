//go:build unix

package chaos

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/pkg/natsd"
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
		"chaos-server": program(serve),
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

// serve is the program chaos-server DIR PORT: a server that comes back where it was.
func serve(args []string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	server, err := natsd.Start(natsd.Options{Dir: args[0], Port: port, Logger: zerolog.New(os.Stderr)})
	if err != nil {
		return err
	}
	<-ended
	server.Shutdown()
	return nil
}
