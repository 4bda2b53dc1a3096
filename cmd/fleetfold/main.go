// Fleetfold is the operator's command: it checks inventories, shows plans, and
// runs, reads and steers fleets.
package main

import (
	"os"

	"github.com/fleetfold/fleetfold/internal/cli"
)

func main() { os.Exit(cli.Main(newRoot())) }
