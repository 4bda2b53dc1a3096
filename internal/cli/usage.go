package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const preparedMark = "fleetfold_prepared"

// prepareCommand turns what cobra reports as plain errors into usage errors,
// and reads the environment before anything of the command runs.
func prepareCommand(cmd *cobra.Command) {
	if cmd.Annotations[preparedMark] != "" {
		return
	}
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[preparedMark] = "yes"
	if !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = runGroup
	}
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	// Args is the first hook that cobra calls with parsed flags, before any
	// PersistentPreRun that may want the values.
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := applyEnv(cmd); err != nil {
			return err
		}
		return UsageError(check(cmd, args))
	}
	pre, preE := cmd.PreRun, cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return UsageError(err)
		}
		if preE != nil {
			return preE(cmd, args)
		}
		if pre != nil {
			pre(cmd, args)
		}
		return nil
	}
}

// runGroup is the run of a command that only holds others.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, name string) error {
	err := Usagef("unknown command %q for %q", name, cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(name); len(s) > 0 {
		return WithHint(err, fmt.Sprintf("did you mean '%s %s'?", cmd.CommandPath(), s[0]))
	}
	return err
}

func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if s := nearestFlag(cmd, unknown.GetSpecifiedName()); s != "" {
			return WithHint(UsageError(err), fmt.Sprintf("did you mean '--%s'? run '%s --help' for usage", s, cmd.CommandPath()))
		}
	}
	return UsageError(err)
}

func nearestFlag(cmd *cobra.Command, name string) string {
	best, at := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(name, f.Name); d < at && d < len(f.Name) && !f.Hidden {
			best, at = f.Name, d
		}
	})
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
