package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

type importFlags struct {
	nats     cli.NATSFlags
	believed believed
	replicas int
}

func newImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Fill the log of an empty system with an export",
		Long: `Fill the log of an empty system with an export, - for standard input: for disaster
recovery and for tests. All of the file is verified before anything is changed, and
what was stored is read back. Every record keeps its sequence, time and bytes, so
that plans, approvals, checkpoints and proofs stay valid, and planners and
executors go on where the log ends.

A system with a history is refused, and so is one that somebody follows: stop
planners and executors, and use another server or --prefix, or delete the streams
of the fleet there. An import that was interrupted goes on when it is run again
with the same file; until then planners and executors do not start.

Bring the issuers' keys of the executors along by yourself: they are no part of an
export. On a secure server nobody who runs may import: 'fleetfold nats config
--importer' makes an identity that may, until it is run again without.`,
		Example: `  fleetfold import log.jsonl
  fleetfold import log.jsonl --key checkpoint.pub --checkpoint newest.note`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.nats.AddTo(cmd.Flags())
	f.believed.addKeys(cmd.Flags())
	f.believed.addCheckpoints(cmd.Flags())
	cmd.Flags().IntVar(&f.replicas, "replicas", 0, "`N` replicas of the streams, 1, 3 or 5; without it 3 in a cluster, 1 elsewhere")
	return cmd
}

func (f *importFlags) run(cmd *cobra.Command, name string) error {
	if f.replicas != 0 && f.replicas != 1 && f.replicas != 3 && f.replicas != 5 {
		return cli.Usagef("--replicas is %d, must be 1, 3 or 5", f.replicas)
	}
	o, err := f.believed.options()
	if err != nil {
		return err
	}
	file, err := openExport(cmd, name, o)
	if err != nil {
		return err
	}
	defer file.Close()
	options, err := f.nats.Options("fleetfold import")
	if err != nil {
		return err
	}
	options.Replicas = f.replicas
	options.Logger = func(event string, err error) {
		if event == eventlog.NotAllowed {
			cmd.PrintErrf("%s: %v\n", event, err)
		}
	}
	bus, err := eventlog.Connect(cmd.Context(), options)
	if err != nil {
		return err
	}
	defer bus.Close()
	p := newProgress(cmd.ErrOrStderr(), "imported up to sequence", 0)
	sum, err := archive.Import{File: file, Bus: bus, Progress: p.at}.Run(cmd.Context())
	p.end()
	if cmd.Context().Err() != nil {
		cmd.PrintErrln("hint: run it again with the same file: it goes on where it was interrupted")
	}
	if err != nil {
		return importHint(notProved(err))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "imported %s and %s\n%s", render.Count(int(sum.Size), "record"), plural(sum.Inventories, "inventory", "inventories"), extent(sum))
	for _, digest := range sum.Missing {
		cmd.PrintErrf("warning: the export has no text of inventory %s\n", digest)
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func importHint(err error) error {
	switch {
	case errors.Is(err, eventlog.ErrNotEmpty):
		return cli.WithHint(err, "an import needs an empty system: another server or --prefix, or delete the streams of this fleet if nobody needs them")
	case errors.Is(err, eventlog.ErrNotAllowed):
		return cli.WithHint(err, "'fleetfold nats config --importer' makes an identity that may import, until it is run again without")
	case errors.Is(err, archive.ErrPart):
		return cli.WithHint(err, "put the parts behind one another, the first one first: cat part1 part2 | fleetfold import -")
	}
	return err
}
