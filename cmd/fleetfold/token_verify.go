package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
)

const (
	// verifyTimeout is below what an executor gives a plugin, so that it says
	// itself what it waited for.
	verifyTimeout = attest.DefaultPluginTimeout - 2*time.Second
	// maxQuestion bounds what is read of a question, in bytes: a payload is shorter.
	maxQuestion = 256 << 10
)

func newTokenVerify() *cobra.Command {
	var nats cli.NATSFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Attest a node by its join token: the plugin of executors",
		Long: `Attest a node by its join token. It is the plugin of executors (--attest-plugin):
it reads a question, as JSON, from standard input, spends the token, and prints the
id of the node. Anything else is a refusal, with the reason on standard error:

  token_malformed  it is no token
  token_unknown    it was revoked, its node decommissioned, or it never was
  token_expired    nobody has shown it in time
  token_node       it is for another node
  token_spent      it was shown for another key

The executor records what it says as the detail of attestation_plugin, and forgets
the token when the node is decommissioned. Under another name, such as that of a
script, it cannot know that there are tokens: revoke them by hand then.
` + tokenFlow,
		Example: `  executor --attest-plugin "fleetfold token verify --nats nats://127.0.0.1:4222" --dir ./executor
  fleetfold token verify < question.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return verifyToken(cmd, &nats) },
	}
	nats.AddTo(cmd.Flags())
	return cmd
}

func verifyToken(cmd *cobra.Command, nats *cli.NATSFlags) error {
	q, err := readQuestion(cmd.InOrStdin())
	if err != nil {
		return err
	}
	options, err := nats.Options("fleetfold token verify")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), verifyTimeout)
	defer cancel()
	bus, err := eventlog.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := (jointoken.Tokens{Store: bus}).Verify(ctx, q); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), q.Node)
	return err
}

// readQuestion says nothing of what it has read: the token is part of it.
func readQuestion(r io.Reader) (q attest.Question, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxQuestion+1))
	if err != nil {
		return q, fmt.Errorf("read question: %w", err)
	}
	if len(text) > maxQuestion {
		return q, fmt.Errorf("read question: it has more than %d bytes", maxQuestion)
	}
	if json.Unmarshal(text, &q) != nil {
		return q, cli.WithHint(errors.New("read question: standard input is no question of an executor"), "executors run this themselves: --attest-plugin \"fleetfold token verify\"")
	}
	return q, nil
}
