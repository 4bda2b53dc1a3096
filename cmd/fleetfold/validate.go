package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func newValidate() *cobra.Command {
	var output *string
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check an inventory file, and report every problem with its line",
		Long: `Check an inventory file, and report every problem with its line.

Each problem is a line "FILE:LINE: PATH: MESSAGE [TAG]" on standard output; tags
are stable. Warnings do not make a file invalid. FILE may be - for standard input.

Exit code 0 means valid, 1 not valid or not readable, 64 a mistake in the call.`,
		Example: `  fleetfold validate examples/three-nodes.yaml
  git show HEAD:fleet.yaml | fleetfold validate -
  fleetfold validate fleet.yaml -o json | jq -r .errors[].tag`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return validate(cmd, args[0], *output == "json") },
	}
	output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return errors.New("no inventory file given")
	case len(args) > 1:
		return fmt.Errorf("one inventory file is checked at a time, %d were given", len(args))
	}
	return nil
}

// verdict is the JSON form; its lists are never null.
type verdict struct {
	Valid    bool                `json:"valid"`
	Errors   []inventory.Problem `json:"errors"`
	Warnings []inventory.Problem `json:"warnings"`
}

func validate(cmd *cobra.Command, name string, asJSON bool) error {
	_, inv, rep := inventory.Read(input(cmd, name))
	w := cmd.OutOrStdout()
	if asJSON {
		v := verdict{rep.Valid(), append([]inventory.Problem{}, rep.Errors...), append([]inventory.Problem{}, rep.Warnings...)}
		if err := render.JSON(w, v); err != nil {
			return err
		}
		if !rep.Valid() {
			return cli.Exit{Code: cli.ExitFailure}
		}
		return nil
	}
	if err := printReport(w, name, rep); err != nil {
		return err
	}
	if !rep.Valid() {
		return invalid(name, rep)
	}
	_, err := fmt.Fprintln(w, summary(name, inv, len(rep.Warnings)))
	return err
}

func printReport(w io.Writer, name string, rep inventory.Report) error {
	for _, p := range rep.Errors {
		if _, err := fmt.Fprintln(w, problemLine(name, "", p)); err != nil {
			return err
		}
	}
	for _, p := range rep.Warnings {
		if _, err := fmt.Fprintln(w, problemLine(name, "warning: ", p)); err != nil {
			return err
		}
	}
	return nil
}

// invalid is what is said on standard error after the problems were listed.
func invalid(name string, rep inventory.Report) error {
	err := fmt.Errorf("%s is not valid: %s", shown(name), render.Count(len(rep.Errors), "error"))
	hint := "mend the lines above and run it again"
	if rep.Errors[0].Tag == inventory.TagIOError {
		err = fmt.Errorf("%s cannot be read", shown(name))
		hint = hintUnreadable
	}
	return cli.WithHint(err, hint)
}

// summary says at a glance what a valid file asks for.
func summary(name string, inv *fleet.Inventory, warnings int) string {
	s := fmt.Sprintf("%s: valid: %s in %s, quorum width %d, enforcement %s", shown(name),
		render.Count(inv.Len(), "node"), render.Count(len(inv.Regions), "region"), inv.QuorumWidth, render.Posture(inv.RequireSig))
	if warnings > 0 {
		s += ", " + render.Count(warnings, "warning")
	}
	return s
}
