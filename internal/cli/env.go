package cli

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every variable that belongs to a flag.
const EnvPrefix = "FLEETFOLD_"

const (
	envMark     = "fleetfold_env"      // names of the flag's variables
	envUsedMark = "fleetfold_env_used" // the one that gave the value
)

// AlsoEnv lets the flag take its default from further variables, which other
// tools use for the same thing. The flag's own FLEETFOLD_ variable comes first.
func AlsoEnv(flags *pflag.FlagSet, flag string, names ...string) {
	f := flags.Lookup(flag)
	if f == nil {
		panic("cli: AlsoEnv of unknown flag --" + flag)
	}
	setMark(f, envMark, append([]string{ownEnv(flag)}, names...))
}

// SetDefault gives a flag that was defined elsewhere another default; variable
// and command line still beat it.
func SetDefault(flags *pflag.FlagSet, flag, value string) {
	f := flags.Lookup(flag)
	if f == nil {
		panic("cli: SetDefault of unknown flag --" + flag)
	}
	if err := f.Value.Set(value); err != nil {
		panic("cli: SetDefault of --" + flag + ": " + err.Error())
	}
	f.DefValue = value
}

// EnvOf names the variables that the flag takes its default from, first one
// first; nil for flags such as --help.
func EnvOf(f *pflag.Flag) []string {
	if f.Name == "help" || f.Name == "version" {
		return nil
	}
	if names := f.Annotations[envMark]; names != nil {
		return names
	}
	return []string{ownEnv(f.Name)}
}

// FromCommandLine says whether the value was typed, and not taken from the
// environment or the default.
func FromCommandLine(f *pflag.Flag) bool {
	return f != nil && f.Changed && f.Annotations[envUsedMark] == nil
}

// BindEnv names the variables of the command's own flags in their help. Main
// does it for the whole tree and reads the variables when the command runs.
func BindEnv(cmd *cobra.Command) {
	bind := func(f *pflag.Flag) {
		names := EnvOf(f)
		note := " (env " + strings.Join(names, ", ") + ")"
		if names == nil || strings.HasSuffix(f.Usage, note) {
			return
		}
		f.Usage += note
	}
	cmd.Flags().VisitAll(bind)
	cmd.PersistentFlags().VisitAll(bind)
}

func ownEnv(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func setMark(f *pflag.Flag, mark string, values []string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[mark] = values
}

// applyEnv gives each flag that was not typed the value of its variable.
func applyEnv(cmd *cobra.Command) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if first != nil || f.Changed {
			return
		}
		for _, name := range EnvOf(f) {
			value := os.Getenv(name)
			if value == "" {
				continue
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				first = Usagef("environment variable %s=%q is no value for --%s: %w", name, value, f.Name, reasonOf(err))
			}
			setMark(f, envUsedMark, []string{name})
			return
		}
	})
	return first
}

// reasonOf drops what pflag says in front of the reason: it speaks of an
// argument, and there was none.
func reasonOf(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && invalid.Unwrap() != nil {
		return invalid.Unwrap()
	}
	return err
}
