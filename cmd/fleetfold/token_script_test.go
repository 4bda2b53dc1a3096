package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
)

// await runs a command until it succeeds and, with -says WORD, prints that.
func await(ts *testscript.TestScript, neg bool, args []string) {
	word := ""
	if len(args) > 2 && args[0] == "-says" {
		word, args = args[1], args[2:]
	}
	if neg || len(args) == 0 {
		ts.Fatalf("usage: await [-says WORD] COMMAND...")
	}
	for end := time.Now().Add(time.Minute); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil && strings.Contains(ts.ReadFile("stdout"), word) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v after a minute: %v", args, err)
		}
	}
}

// ask writes ask.json, as an executor asks whether node may have a credential
// for a key. The token is that of the last "token create", or that of before.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: ask NODE KEY stdout|json|token")
	}
	var token string
	switch args[2] {
	case "stdout":
		token = ts.ReadFile("stdout")
	case "json":
		var made struct{ Token string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &made))
		token = made.Token
	default:
		token = ts.ReadFile("token")
	}
	question, err := json.Marshal(attest.Question{
		TrustDomain: "fleet.example", Node: fleet.NodeID(args[0]), Nonce: "n", CSRSHA256: "00", KeyFingerprint: args[1], Payload: token,
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("ask.json"), question, 0o600))
	if args[2] == "stdout" {
		ts.Check(os.WriteFile(ts.MkAbs("token"), []byte(token), 0o600))
	}
}

// revoke ends the token of a node, by its id.
func revoke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: revoke NODE")
	}
	ts.Check(ts.Exec("fleetfold", "token", "list", "-o", "json"))
	var list []jointoken.Record
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	for _, r := range list {
		if r.Node == fleet.NodeID(args[0]) {
			ts.Check(ts.Exec("fleetfold", "token", "revoke", r.ID))
			return
		}
	}
	ts.Fatalf("no token for %s", args[0])
}
