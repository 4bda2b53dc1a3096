// Command executor carries out the actions of a fleet.
package main

import (
	"os"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
)

func main() { os.Exit(cli.Main(executorcmd.New())) }
