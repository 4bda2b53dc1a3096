package main

import (
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/natscmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
)

// newRoot is the command tree: one line and one file for each command.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fleetfold",
		Short: "Take a fleet of nodes from what an inventory asks for to what is",
		Long: `Take a fleet of nodes from what an inventory asks for to what is.

One file says which nodes there shall be and whether they must sign. Fleetfold
compares it with what is, says what lies between, and carries that out.`,
		Example: `  # bring a fleet of three up on this machine
  fleetfold up --inventory examples/three-nodes.yaml

  # is this file good?
  fleetfold validate examples/three-nodes.yaml

  # what would it change of the fleet that runs?
  fleetfold diff examples/three-nodes.yaml

  # put it into force, and wait until the fleet is like that
  fleetfold apply examples/three-nodes.yaml --wait`,
	}
	root.AddCommand(
		newUp(),
		newValidate(),
		newPlan(),
		newDiff(),
		newApply(),
		newStatus(),
		newGet(),
		newHistory(),
		newLog(),
		newWait(),
		newReplay(),
		newAudit(),
		newPartition(),
		newPause(),
		newResume(),
		newApprove(),
		newExplain(),
		newRetry(),
		newToken(),
		newRotate(),
		newCA(),
		newHealth(),
		newDoctor(),
		newBench(),
		newExport(),
		newImport(),
		newCheckpoint(),
		newProof(),
		newContext(),
		newMan(),
		newSimulate(),
		natscmd.New(),
		agentcmd.New(),
		newOwnPlanner(),
	)
	addCompletion(root)
	return root
}

const plannerName = "planner"

// newOwnPlanner is the program cmd/planner for 'fleetfold bench', which runs one as
// a process of its own.
func newOwnPlanner() *cobra.Command {
	cmd := plannercmd.New()
	cmd.Hidden = true
	return cmd
}
