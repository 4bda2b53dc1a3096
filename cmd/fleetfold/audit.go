package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// exitDifferences says that the log is not what it should be.
const exitDifferences = 3

type auditFlags struct {
	source          sourceFlags
	checkpoint, key string
	output          *string
}

func newAudit() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove a history: decide each plan again, verify each proof and signature",
		Long: `Prove a history: fold the log from its first record, decide every plan again on the
log that it was decided on, by the rule and the thresholds that it names, and
compare what was published and what was held. Verify each node's proof against the
trust bundle of its time, each issuer's certificate, that no sequence is missing,
that each action has one outcome, and that enforcement was never switched on too
early. Nothing is changed.

A checkpoint that was kept elsewhere shows that the log was not rewritten since:
--checkpoint compares the log with it, and --checkpoint-key verifies its signature
and that of each checkpoint on the log.

Exit code 0 means that all is proved, 3 that there are differences, each of which
is shown, 1 an error, 64 a mistake in the call.`,
		Example: `  fleetfold audit

  # against what was kept elsewhere
  fleetfold audit --checkpoint monday.note --checkpoint-key log.pub

  # for a machine
  fleetfold audit -o json | jq .mismatches`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.source.addTo(flags)
	flags.StringVar(&f.checkpoint, "checkpoint", "", "`FILE` with a signed checkpoint that the log must agree with")
	flags.StringVar(&f.key, "checkpoint-key", "", "`FILE` with the public key that checkpoints are signed by")
	f.output = addOutput(flags, "output `FORMAT`", "text", "json")
	return cmd
}

func (f *auditFlags) run(cmd *cobra.Command) error {
	options, err := f.options(cmd)
	if err != nil {
		return err
	}
	source, err := f.source.open(cmd.Context(), cmd)
	if err != nil {
		return err
	}
	defer source.close()
	far := newCounter(cmd.ErrOrStderr(), "audited", source.end)
	options.Progress = far.reach
	report, err := audit.Run(cmd.Context(), source, options)
	far.clear()
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if *f.output == "json" {
		err = render.JSON(w, report)
	} else {
		err = auditText(w, report)
	}
	if err == nil && report.MismatchesTotal > 0 {
		err = cli.Exit{Code: exitDifferences}
	}
	return err
}

const hintCheckpoint = "a checkpoint is a signed note of a few lines, as the log and 'checkpoint.signed' carry it"

func (f *auditFlags) options(cmd *cobra.Command) (o audit.Options, err error) {
	if f.key != "" {
		key, err := merkle.LoadVerifier(f.key)
		if err != nil {
			return o, err
		}
		o.Keys = append(o.Keys, key)
	}
	if f.checkpoint == "" {
		return o, nil
	}
	signed, err := input(cmd, f.checkpoint)()
	if err != nil {
		return o, cli.WithHint(fmt.Errorf("%s: read checkpoint: %w", shown(f.checkpoint), err), hintUnreadable)
	}
	read := merkle.Read
	if len(o.Keys) > 0 {
		read = func(signed []byte) (merkle.Checkpoint, error) { return merkle.Open(signed, o.Keys...) }
	}
	c, err := read(signed)
	if err != nil {
		return o, cli.WithHint(fmt.Errorf("%s: %w", shown(f.checkpoint), err), hintCheckpoint)
	}
	o.Checkpoints = append(o.Checkpoints, c)
	return o, nil
}

func auditText(w io.Writer, r audit.Report) error {
	b := bufio.NewWriter(w) // it keeps the first error of writing
	for _, d := range r.Mismatches {
		fmt.Fprintf(b, "sequence %d: %s\n  expected  %s\n  found     %s\n", d.Sequence, d.What, d.Expected, d.Found)
	}
	if more := r.MismatchesTotal - len(r.Mismatches); more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
	verdict := "proved"
	if r.MismatchesTotal > 0 {
		verdict = "NOT proved, " + render.Count(r.MismatchesTotal, "difference")
	}
	fmt.Fprintf(b, "%s: %s with %s, %s, in %s\nroot %s\n", verdict, render.Count(r.Plans, "plan"),
		render.Count(r.Actions, "action"), render.Count(r.Proofs, "proof"), render.Count(int(r.Records), "record"), r.Root)
	return b.Flush()
}

// counter says on a terminal how far a long reading has come, and nothing elsewhere.
type counter struct {
	w     io.Writer // nil: nobody looks
	what  string
	end   uint64
	drawn bool
}

func newCounter(w io.Writer, what string, end uint64) *counter {
	if !cli.IsTerminal(w) {
		w = nil
	}
	return &counter{w: w, what: what, end: end}
}

// drawEvery keeps the terminal from being what is waited for.
const drawEvery = 4096

func (c *counter) reach(sequence uint64) {
	if c.w == nil || sequence%drawEvery != 0 {
		return
	}
	c.drawn = true
	of := ""
	if c.end > 0 {
		of = fmt.Sprintf(" of %d", c.end)
	}
	fmt.Fprintf(c.w, "\r\x1b[K%s %d%s records", c.what, sequence, of)
}

func (c *counter) clear() {
	if c.drawn {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}
