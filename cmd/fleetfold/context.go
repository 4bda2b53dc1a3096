package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/contexts"
	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/pkg/events"
)

func newContext() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Give fleets names, and choose the one that commands work with",
		Long: `Give fleets names, and choose the one that commands work with. A context is the
connection flags of one fleet: server, identity, credentials and prefix. --context
names one for a single command, 'context use' chooses one for all; flags and variables
beat what it says, and --nats leaves it aside.

Contexts of the nats command go on working, and --context finds them, too; one of ours
may be built on one of them.`,
		Example: `  fleetfold context add prod --nats nats://bus.example:4222 --identity ./bus/identities/operator
  fleetfold context use prod
  fleetfold context list
  fleetfold status --context staging`,
	}
	cmd.AddCommand(newContextAdd(), newContextUse(), newContextList(), newContextShow(), newContextRemove())
	return cmd
}

func oneContext(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one context; 'fleetfold context list' lists them")
	}
	return contexts.CheckName(args[0])
}

func noContext(name string, err error) error {
	if errors.Is(err, contexts.ErrNone) {
		return cli.WithHint(fmt.Errorf("no context is named %q", name), "'fleetfold context list' lists those there are, 'fleetfold context add' makes one")
	}
	return err
}

func newContextAdd() *cobra.Command {
	var nats cli.NATSFlags
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Keep the connection flags of a fleet under a name",
		Long: `Keep the connection flags of a fleet under a name. Only what is typed is kept, and
nothing of the environment. Files are kept by their whole path, and not read. A context
of the same name is replaced.`,
		Example: `  fleetfold context add prod --nats nats://bus.example:4222 --identity ./bus/identities/operator
  fleetfold context add edge --context my-nats-context --prefix edge`,
		Args: oneContext,
		RunE: func(cmd *cobra.Command, args []string) error { return addContext(cmd, args[0]) },
	}
	nats.AddTo(cmd.Flags())
	return cmd
}

func addContext(cmd *cobra.Command, name string) error {
	c, err := typedContext(cmd.Flags())
	if err != nil {
		return err
	}
	c.Name = name
	if c.NATS == "" && c.NATSContext == "" {
		return cli.Usagef("a context needs a server: --nats or --context")
	}
	if c.Prefix != "" {
		if _, err := events.NewSubjects(c.Prefix); err != nil {
			return cli.UsageError(err)
		}
	}
	if c.Identity != "" && c.TLSCert+c.TLSKey+c.TLSCA != "" {
		return cli.Usagef("--identity stands in place of --tlscert, --tlskey and --tlsca: give one or the others")
	}
	if err := contexts.Save(c); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "context %s is kept; 'fleetfold context use %s' selects it\n", name, name)
	return err
}

// typedContext is what stands on the command line.
func typedContext(flags *pflag.FlagSet) (c contexts.Context, err error) {
	for flag, into := range map[string]*string{
		"nats": &c.NATS, "context": &c.NATSContext, "prefix": &c.Prefix,
		"creds": &c.Creds, "identity": &c.Identity, "tlscert": &c.TLSCert, "tlskey": &c.TLSKey, "tlsca": &c.TLSCA,
	} {
		f := flags.Lookup(flag)
		if !cli.FromCommandLine(f) {
			continue
		}
		*into = f.Value.String()
		if isFile := flag != "nats" && flag != "context" && flag != "prefix"; isFile && *into != "" {
			if *into, err = filepath.Abs(*into); err != nil {
				return c, fmt.Errorf("--%s: %w", flag, err)
			}
		}
	}
	return c, nil
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use:     "use NAME",
		Short:   "Choose the context that commands work with",
		Example: "  fleetfold context use prod",
		Args:    oneContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := contexts.Select(args[0]); err != nil {
				return noContext(args[0], err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "context %s is selected\n", args[0])
			return err
		},
	}
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Forget a context",
		Example: "  fleetfold context remove staging",
		Args:    oneContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := contexts.Remove(args[0]); err != nil {
				return noContext(args[0], err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "context %s is forgotten\n", args[0])
			return err
		},
	}
}

// keptContext is a context as it is listed.
type keptContext struct {
	Name     string `json:"name"`
	Selected bool   `json:"selected"`
	contexts.Context
}

func newContextList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the contexts",
		Example: "  fleetfold context list\n  fleetfold context list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := contexts.List()
			if err != nil {
				return err
			}
			return showContexts(cmd, list, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output `FORMAT`: "+strings.Join(listing.Formats, ", "))
	return cmd
}

func newContextShow() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show [NAME]",
		Short:   "Show a context, or the one that is selected",
		Example: "  fleetfold context show\n  fleetfold context show prod",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := contexts.Selected()
			if len(args) == 1 {
				name, err = args[0], nil
			}
			if err != nil {
				return err
			}
			if name == "" {
				return cli.WithHint(errors.New("no context is selected"), "'fleetfold context use NAME' selects one")
			}
			c, err := contexts.Load(name)
			if err != nil {
				return noContext(name, err)
			}
			return showContexts(cmd, []contexts.Context{c}, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "output `FORMAT`: "+strings.Join(listing.Formats, ", "))
	return cmd
}

func showContexts(cmd *cobra.Command, list []contexts.Context, output string) error {
	format, err := listing.Parse(output, "")
	if err != nil {
		return cli.Usagef("--output %s: %w", output, err)
	}
	selected, err := contexts.Selected()
	if err != nil {
		return err
	}
	var kept []keptContext
	for _, c := range list {
		kept = append(kept, keptContext{c.Name, c.Name == selected, c})
	}
	if err := fits(listing.Write(cmd.OutOrStdout(), format, contextColumns, kept)); err != nil {
		return err
	}
	if len(kept) == 0 {
		cmd.PrintErrln("no contexts")
	}
	return nil
}

var contextColumns = []listing.Column[keptContext]{
	{Name: "SELECTED", Text: func(c keptContext) string {
		if c.Selected {
			return "*"
		}
		return ""
	}},
	{Name: "NAME", Text: func(c keptContext) string { return c.Name }},
	{Name: "SERVER", Text: func(c keptContext) string {
		if c.NATS == "" {
			return "context " + c.NATSContext + " of nats"
		}
		return c.NATS
	}},
	{Name: "PREFIX", Text: func(c keptContext) string { return c.Prefix }},
	{Name: "IDENTITY", Text: func(c keptContext) string { return c.Identity + c.TLSCert }},
}
