// Command node-agent runs on each node of the fleet: it holds the node's lease,
// its key and its credential.
package main

import (
	"os"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
)

func main() { os.Exit(cli.Main(agentcmd.New())) }
