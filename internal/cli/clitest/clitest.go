// Package clitest holds command trees to what package cli promises of them.
package clitest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
)

// CheckHelp checks that every command below root says in one line what it does
// and shows an example that could be typed, and that every flag says what it
// means, which variable sets it and, in capitals, what it takes, with the range of
// a number or a duration.
func CheckHelp(t testing.TB, root *cobra.Command) {
	t.Helper()
	cli.Prepare(root)
	for _, cmd := range cli.Commands(root) {
		if cmd.Short == "" {
			t.Errorf("%s: no Short", cmd.CommandPath())
		}
		checkExample(t, root, cmd)
		checkFlags(t, cmd)
	}
}

func checkExample(t testing.TB, root, cmd *cobra.Command) {
	t.Helper()
	if strings.TrimSpace(cmd.Example) == "" {
		t.Errorf("%s: no Example", cmd.CommandPath())
	}
	own := false
	for line := range strings.Lines(cmd.Example) {
		args := commandOf(line, root.Name())
		if args == nil {
			continue
		}
		at, rest, err := root.Find(args)
		if err != nil {
			t.Errorf("%s: example %q: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
			continue
		}
		for c := at; c != nil; c = c.Parent() {
			own = own || c == cmd
		}
		for _, arg := range rest {
			name, isFlag := strings.CutPrefix(arg, "--")
			name, _, _ = strings.Cut(name, "=")
			if isFlag && name != "" && at.Flag(name) == nil {
				t.Errorf("%s: example %q: no flag --%s", cmd.CommandPath(), strings.TrimSpace(line), name)
			}
		}
	}
	if !own {
		t.Errorf("%s: no example calls it", cmd.CommandPath())
	}
}

// commandOf returns the arguments of a call of the command in line; nil when
// the line is something else.
func commandOf(line, name string) []string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	for _, end := range []string{"|", ">", "#", "&"} {
		line, _, _ = strings.Cut(line, end)
	}
	words := strings.Fields(line)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if len(words) == 0 || words[0] != name {
		return nil
	}
	return words[1:]
}

func checkFlags(t testing.TB, cmd *cobra.Command) {
	t.Helper()
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		env := cli.EnvOf(f)
		if f.Hidden || env == nil {
			return
		}
		usage, note, _ := strings.Cut(f.Usage, " (env ")
		if usage == "" {
			t.Errorf("%s --%s: no usage", cmd.CommandPath(), f.Name)
		}
		takes, _ := pflag.UnquoteUsage(f)
		if takes != strings.ToUpper(takes) || takes == "" && f.Value.Type() != "bool" {
			t.Errorf("%s --%s: no NAME in capitals for its value, but %q", cmd.CommandPath(), f.Name, takes)
		}
		if isNumber(f) && !statesRange.MatchString(usage) {
			t.Errorf("%s --%s: help does not say which values are good", cmd.CommandPath(), f.Name)
		}
		for _, name := range env {
			if !strings.Contains(note, name) {
				t.Errorf("%s --%s: help does not name %s", cmd.CommandPath(), f.Name, name)
			}
		}
	})
}

// statesRange finds a range, such as "1 to 256", "above 0" or "1, 3 or 5".
var statesRange = regexp.MustCompile(`[0-9a-z-]+ to [0-9]|above 0|or more|or longer|1, 3 or 5`)

func isNumber(f *pflag.Flag) bool {
	return slices.Contains([]string{"int", "uint64", "float64", "duration"}, f.Value.Type())
}
