// Planner senses, folds, reconciles and publishes plans.
package main

import (
	"os"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
)

func main() { os.Exit(cli.Main(plannercmd.New())) }
