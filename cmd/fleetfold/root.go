package main

import "github.com/spf13/cobra"

// newRoot is the command tree: one line and one file for each command.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fleetfold",
		Short: "Take a fleet of nodes from what an inventory asks for to what is",
		Long: `Take a fleet of nodes from what an inventory asks for to what is.

One file says which nodes there shall be and whether they must sign. Fleetfold
compares it with what is, says what lies between, and carries that out.`,
		Example: `  # is this file good?
  fleetfold validate examples/three-nodes.yaml

  # what would it change?
  fleetfold plan --inventory examples/three-nodes.yaml --observed observed.json`,
	}
	root.AddCommand(
		newValidate(),
		newPlan(),
		newHealth(),
	)
	return root
}
