package jointoken_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// A token is for one key: whoever shows it first.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := natsd.Start(natsd.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer server.Shutdown()
	bus, err := eventlog.Connect(ctx, eventlog.Options{InProcess: server, Name: "example"})
	if err != nil {
		panic(err)
	}
	defer bus.Close()
	if err := bus.EnsureTokens(ctx); err != nil {
		panic(err)
	}

	tokens := jointoken.Tokens{Store: bus}
	token, _, err := tokens.Create(ctx, "node-1", 10*time.Minute, "ann", "")
	if err != nil {
		panic(err)
	}
	for _, key := range []string{"sha256:01", "sha256:01", "sha256:02"} {
		err := tokens.Verify(ctx, attest.Question{Node: "node-1", KeyFingerprint: key, Payload: token})
		fmt.Printf("%s %q\n", key, fleet.ReasonOf(err))
	}
	// Output:
	// sha256:01 ""
	// sha256:01 ""
	// sha256:02 "token_spent"
}
