package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
)

func TestEveryCommandShowsAnExampleAndEveryFlagItsVariable(t *testing.T) {
	clitest.CheckHelp(t, newRoot())
}

func TestACommandThatHoldsOthersShowsItsHelp(t *testing.T) {
	for args, code := range map[string]int{"": 0, "get": 0, "get nope": cli.ExitUsage, "nope": cli.ExitUsage, "help nope": cli.ExitUsage, "completion nope": cli.ExitUsage} {
		root := newRoot()
		var out, errs bytes.Buffer
		root.SetArgs(strings.Fields(args))
		root.SetOut(&out)
		root.SetErr(&errs)
		if got := cli.Run(t.Context(), root); got != code || (code == 0) != strings.Contains(out.String(), "Usage:") {
			t.Errorf("fleetfold %s: code %d, want %d: %s%s", args, got, code, &out, &errs)
		}
	}
}
