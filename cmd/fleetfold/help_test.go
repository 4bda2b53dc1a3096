package main

import (
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli/clitest"
)

func TestEveryCommandShowsAnExampleAndEveryFlagItsVariable(t *testing.T) {
	clitest.CheckHelp(t, newRoot())
}
