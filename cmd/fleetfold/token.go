package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
)

// tokenFlow stands in the help of each command of tokens.
const tokenFlow = `
A join token lets a node in that has nothing else to show who it is. In the
inventory its attestor is node-plugin, and executors ask 'fleetfold token verify':

  executor --attest-plugin "fleetfold token verify" ...   (NATS_URL names the server)
  fleetfold token create --node node-1 --ttl 10m > token  (then carry the file there)
  node-agent --id node-1 --attest-payload token ...

The first time that it is shown, a token is bound to the key of the node. That key
may show it again, when an issue was interrupted or a credential is issued anew;
any other key is refused, until the token is revoked or the node decommissioned.
A token that nobody has shown in time is refused. Only its hash is stored.`

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Make, list, revoke and verify join tokens of nodes",
		Long:    "Make, list, revoke and verify join tokens of nodes.\n" + tokenFlow,
		Example: "  fleetfold token create --node node-1 --ttl 10m > token",
	}
	cmd.AddCommand(newTokenCreate(), newTokenList(), newTokenRevoke(), newTokenVerify())
	return cmd
}

type tokenCreateFlags struct {
	nats       cli.NATSFlags
	output     *string
	node, note string
	ttl        time.Duration
}

func newTokenCreate() *cobra.Command {
	var f tokenCreateFlags
	cmd := &cobra.Command{
		Use:   "create --node ID",
		Short: "Make a join token for a node, and print it once",
		Long: `Make a join token for a node, and print it: only its hash is stored, so that it
cannot be read again.
` + tokenFlow,
		Example: `  fleetfold token create --node node-1 --ttl 10m > token
  fleetfold token create --node node-1 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.nats.AddTo(cmd.Flags())
	f.output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	cmd.Flags().StringVar(&f.node, "node", "", "the `ID` of the node that may join with it; required")
	cmd.Flags().DurationVar(&f.ttl, "ttl", jointoken.DefaultTTL, "`DURATION` in which it must be shown first, 1s to 720h")
	addNote(cmd, &f.note)
	return cmd
}

func (f *tokenCreateFlags) run(cmd *cobra.Command) error {
	if f.node == "" {
		return cli.Usagef("--node is required: a token is for one node")
	}
	id, err := fleet.ParseNodeID(f.node)
	if err != nil {
		return cli.Usagef("--node %q: %w", f.node, err)
	}
	if f.ttl < jointoken.MinTTL || f.ttl > jointoken.MaxTTL {
		return cli.Usagef("--ttl is %s, must be %s to %s", f.ttl, jointoken.MinTTL, jointoken.MaxTTL)
	}
	word, err := wordOf(f.note)
	if err != nil {
		return err
	}
	bus, err := connect(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	create := func() (string, jointoken.Record, error) {
		return jointoken.Tokens{Store: bus}.Create(cmd.Context(), id, f.ttl, word.Actor, word.Note)
	}
	token, r, err := create()
	if errors.Is(err, eventlog.ErrNoToken) { // no planner has made the bucket yet
		if err := bus.EnsureTokens(cmd.Context()); err != nil {
			return err
		}
		token, r, err = create()
	}
	if err != nil {
		return err
	}
	if *f.output == "json" {
		return render.JSON(cmd.OutOrStdout(), struct {
			Token   string       `json:"token"`
			ID      string       `json:"id"`
			Node    fleet.NodeID `json:"node"`
			Expires time.Time    `json:"expires"`
		}{token, r.ID, r.Node, r.Expires})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
	return err
}

// shownToken is a record with its state and without the hash.
type shownToken struct {
	jointoken.Record
	SHA256 string `json:"sha256,omitempty"`
	State  string `json:"state"`
}

func newTokenList() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the join tokens there are, by their ids",
		Long: `List the join tokens there are, by their ids. The tokens themselves are stored
nowhere. One that expired is listed for another day.`,
		Example: `  fleetfold token list
  fleetfold token list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []jointoken.Record
			err := withTokens(cmd, &nats, func(ctx context.Context, t jointoken.Tokens) (err error) {
				list, err = t.List(ctx)
				return err
			})
			if err != nil {
				return err
			}
			return printTokens(cmd.OutOrStdout(), *output, list, time.Now())
		},
	}
	nats.AddTo(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`", "table", "json")
	return cmd
}

func printTokens(w io.Writer, output string, list []jointoken.Record, now time.Time) error {
	if output == "json" {
		shown := make([]shownToken, len(list))
		for i, r := range list {
			shown[i] = shownToken{Record: r, State: r.State(now)}
		}
		return render.JSON(w, shown)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNODE\tSTATE\tEXPIRES (UTC)\tSPENT (UTC)\tMADE BY\tNOTE")
	for _, r := range list {
		spent := "-"
		if !r.SpentAt.IsZero() {
			spent = r.SpentAt.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Node, r.State(now), r.Expires.UTC().Format(time.DateTime), spent, dash(cut(r.Actor)), dash(cut(r.Note)))
	}
	return t.Flush()
}

func newTokenRevoke() *cobra.Command {
	var nats cli.NATSFlags
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a join token, spent or not",
		Long: `End a join token, spent or not, by its id of 'fleetfold token list'. A credential
that its node has got stays: take the node out of the inventory to revoke that.`,
		Example: "  fleetfold token revoke 8c6976e5b5410415",
		Args:    oneToken,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := withTokens(cmd, &nats, func(ctx context.Context, t jointoken.Tokens) error { return t.Revoke(ctx, args[0]) })
			switch {
			case errors.Is(err, eventlog.ErrNoToken):
				return cli.WithHint(fmt.Errorf("there is no token %s", args[0]), "'fleetfold token list' shows those there are")
			case err != nil:
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked token %s\n", args[0])
			return nil
		},
	}
	nats.AddTo(cmd.Flags())
	return cmd
}

// oneToken never quotes what it refuses: it may be the token.
func oneToken(_ *cobra.Command, args []string) error {
	if len(args) != 1 || !jointoken.ValidID(args[0]) {
		return errors.New("one token is revoked at a time, by its id of 16 hex digits; 'fleetfold token list' shows them")
	}
	return nil
}

func withTokens(cmd *cobra.Command, nats *cli.NATSFlags, do func(context.Context, jointoken.Tokens) error) error {
	bus, err := connect(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	return do(cmd.Context(), jointoken.Tokens{Store: bus})
}
