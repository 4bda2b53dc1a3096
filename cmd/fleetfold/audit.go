package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/audit"
)

type auditFlags struct {
	source   sourceFlags
	believed believed
	output   *string
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

  # with no server
  fleetfold audit --from log.jsonl

  # against what was kept elsewhere
  fleetfold audit --checkpoint monday.note --checkpoint-key log.pub

  # for a machine
  fleetfold audit -o json | jq .mismatches`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.source.addTo(flags)
	f.believed.addCheckpoints(flags)
	flags.StringArrayVar(&f.believed.keys, "checkpoint-key", nil, "`FILE` with the public key that checkpoints must be signed with; may be given several times")
	f.output = addOutput(flags, "output `FORMAT`", "text", "json")
	return cmd
}

func (f *auditFlags) run(cmd *cobra.Command) error {
	known, err := f.believed.options()
	if err != nil {
		return err
	}
	source, err := f.source.open(cmd.Context(), cmd)
	if err != nil {
		return err
	}
	defer source.close()
	far := newProgress(cmd.ErrOrStderr(), "audited", source.end)
	report, err := audit.Run(cmd.Context(), source, audit.Options{Checkpoints: known.Kept, Keys: known.Keys, Progress: far.at})
	far.end()
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
		err = cli.Exit{Code: exitNotProved}
	}
	return err
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
