package main

import (
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
)

// addOutput defines --output and -o. A shorthand has to be there when a flag is
// added, and cli.Choice knows of none, so the flag takes the way round by a set
// of its own.
func addOutput(flags *pflag.FlagSet, usage string, of ...string) *string {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	value := cli.Choice(own, "output", usage, of...)
	f := own.Lookup("output")
	f.Shorthand = "o"
	flags.AddFlag(f)
	return value
}
