package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// leakFree runs the tests and fails when a goroutine outlives them.
type leakFree struct{ m *testing.M }

func (l leakFree) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := leak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestMain lets the tests run the real main functions as programs.
func TestMain(m *testing.M) {
	service := func(cmd func() *cobra.Command) func() {
		return func() { os.Exit(cli.Main(cmd())) }
	}
	testscript.Main(leakFree{m}, map[string]func(){
		"fleetfold":   main,
		"planner":     service(plannercmd.New),
		"executor":    service(executorcmd.New),
		"node-agent":  service(agentcmd.New),
		"key-program": keyProgram,
	})
}

// TestScripts runs the pages of testdata/script. Beside the usual commands they
// have "exits CODE COMMAND...", since "! exec" takes any failure for another, and
// "server", which starts a server and puts its addresses into the environment.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The race detector makes each program that ends well wait a second.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "server": server, "equip": equip, "await": await, "ask": ask, "revoke": revoke, "first-action": firstAction},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// server sets NATS_URL and MONITOR. Another name is another server, which takes
// their place.
func server(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: server [NAME]")
	}
	s, err := natsd.Start(natsd.Options{Dir: ts.MkAbs(strings.Join(append([]string{"server"}, args...), "-")), Port: natsd.RandomPort, MonitorPort: natsd.RandomPort})
	ts.Check(err)
	ts.Defer(s.Shutdown)
	ts.Setenv("NATS_URL", s.URL())
	ts.Setenv("MONITOR", s.MonitorURL())
}

// equip gives a node the client certificate that an executor with --attest-ca
// $CLIENTS accepts.
func equip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: equip NODE FOLDER")
	}
	clients, err := attest.OpenLocal(ts.MkAbs("clients"), nil)
	ts.Check(err)
	ts.Check(clients.Equip(fleet.NodeID(args[0]), ts.MkAbs(args[1])))
	ts.Setenv("CLIENTS", clients.File)
}

// exitCode is -1 for what is no exit at all.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		return exit.ExitCode()
	}
	return -1
}
