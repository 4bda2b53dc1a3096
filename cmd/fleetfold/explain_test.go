package main

import (
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// firstAction sets ACTION to the first action on the log for a node.
func firstAction(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: first-action NODE")
	}
	ts.Check(ts.Exec("fleetfold", "log", "--node", args[0], "-o", "jsonl"))
	id := regexp.MustCompile(`"action":"([a-z]+-[0-9a-f]{20})"`).FindStringSubmatch(ts.ReadFile("stdout"))
	if id == nil {
		ts.Fatalf("no action for %s", args[0])
	}
	ts.Setenv("ACTION", id[1])
}
