package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type applyFlags struct {
	nats              cli.NATSFlags
	note              string
	yes, wait, dryRun bool
	timeout           time.Duration
}

func newApply() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Put an inventory into force, after showing where it leads",
		Long: `Put an inventory into force. What it changes is shown first, and the plan that it
leads to on the running fleet, with what will be held and why. Then you are asked;
--yes answers for you, and is needed where standard input is no terminal. FILE may be
- for standard input.

Only the inventory that was shown is replaced: if somebody else applies one meanwhile,
nothing is changed, and you are told who did. A file that is in force already changes
nothing, and is no error.

With --wait the command ends once the fleet is as the file asks. It also ends, with
exit code 1, when nothing goes on by itself any more, and says what is in the way: what
a person has paused or must approve, nodes that are lost, and what failed again and
again.

A planner that watches a file of its own applies each edit of it once, and does not
bring it back over what was applied since.

Exit code 0 means applied, in force already, or shown (--dry-run), 1 not applied or
not converged, 64 a mistake in the call.`,
		Example: `  fleetfold apply fleet.yaml -m "node-4 joins" --wait
  fleetfold apply fleet.yaml --yes --wait --timeout 10m
  git show HEAD~1:fleet.yaml | fleetfold apply - --yes -m "back to yesterday"
  fleetfold apply fleet.yaml --dry-run`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	addNote(cmd, &f.note)
	fs.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show what would happen, and change nothing")
	fs.BoolVar(&f.wait, "wait", false, "wait until the fleet is as the file asks, or something is in the way")
	fs.DurationVar(&f.timeout, "timeout", 0, "with --wait: exit 1 after this `DURATION`, 0 or more; 0 means never")
	return cmd
}

func (f *applyFlags) run(cmd *cobra.Command, name string) error {
	if f.timeout < 0 {
		return cli.Usagef("--timeout is %s, must not be below 0", f.timeout)
	}
	word, err := wordOf(f.note)
	if err != nil {
		return err
	}
	c, err := readCandidate(cmd, name)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer l.close()
	end := busy(cmd, "looking where it leads")
	shown, err := foresee(cmd.Context(), l, c)
	end()
	if err != nil {
		return err
	}
	if shown.inForceAlready() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is in force already: generation %d by %s\n", shownName(name), shown.ref.Generation, shown.ref.Actor)
		return f.await(cmd, l, shown.ref.Generation, shown.ref.Sequence)
	}
	if err := forecastText(cmd.OutOrStdout(), shown, shownActions); err != nil || f.dryRun {
		return err
	}
	if err := f.confirm(cmd, name, shown); err != nil {
		return err
	}
	word.At = time.Now() // not that of before the question
	end = busy(cmd, "storing the inventory")
	sequence, err := f.put(cmd.Context(), l, shown, c.text, word)
	end()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\napplied %s as generation %d, at sequence %d\n", shownName(name), shown.seen.Generation+1, sequence)
	return f.await(cmd, l, shown.seen.Generation+1, sequence)
}

func shownName(name string) string {
	if name == stdin {
		return "the inventory"
	}
	return name
}

var errNotConfirmed = errors.New("not confirmed: nothing was changed")

// confirm asks a person, and takes nothing but yes for yes.
func (f *applyFlags) confirm(cmd *cobra.Command, name string, shown forecast) error {
	if f.yes {
		return nil
	}
	if name == stdin || !cli.IsTerminal(cmd.InOrStdin()) {
		return cli.WithHint(cli.Usagef("there is no terminal to ask on: nothing was changed"), "--yes applies without a question, --dry-run only shows")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "\nApply this as generation %d of fleet %q? Type yes: ", shown.seen.Generation+1, f.nats.Prefix)
	answer := make(chan string, 1)
	go func() { // it ends with the process: a read of a terminal cannot be taken back
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		if said != "yes" && said != "y" {
			return errNotConfirmed
		}
		return nil
	case <-cmd.Context().Done():
		fmt.Fprintln(cmd.ErrOrStderr())
		return cmd.Context().Err()
	}
}

// lookBack is how long the log is asked what became of an answer that got lost.
const lookBack = 10 * time.Second

// put appends over exactly what was shown. Of an answer that got lost the log
// itself tells how it ended.
func (f *applyFlags) put(ctx context.Context, l *live, shown forecast, text []byte, word planner.Word) (uint64, error) {
	sequence, err := planner.ApplyOver(ctx, l.bus, l.bus.Log(), shown.seen, text, word)
	if err == nil || ctx.Err() != nil {
		return sequence, err
	}
	looking, cancel := context.WithTimeout(ctx, lookBack)
	defer cancel()
	if l.view.CatchUp(looking) != nil {
		return 0, cli.WithHint(err, fmt.Sprintf("'fleetfold status' says whether generation %d is in force", shown.seen.Generation+1))
	}
	var now projection.InventoryRef
	l.view.Read(func(st *projection.State) { now = st.Inventory() })
	switch {
	case now.Digest == shown.digest && now.Generation == shown.seen.Generation+1 && now.Actor == word.Actor && now.Note == word.Note:
		return now.Sequence, nil
	case now.Sequence > shown.ref.Sequence:
		return 0, cli.WithHint(fmt.Errorf("%s%s meanwhile, as generation %d at sequence %d: nothing was changed",
			appliedBy(now.Actor), because(now.Note), now.Generation, now.Sequence),
			"look at it with 'fleetfold diff', and apply again")
	case errors.Is(err, eventlog.ErrConflict):
		return 0, cli.WithHint(fmt.Errorf("something was said of inventories meanwhile: nothing was changed: %w", err), "apply again")
	}
	return 0, err
}

func appliedBy(actor string) string { return fmt.Sprintf("%s applied an inventory", actor) }

// await follows what was applied, where that was asked for.
func (f *applyFlags) await(cmd *cobra.Command, l *live, generation, sequence uint64) error {
	if !f.wait || f.dryRun {
		return nil
	}
	a := awaiting{cmd: cmd, live: l, generation: generation, after: sequence, timeout: f.timeout}
	s, err := a.run()
	if err != nil {
		return err
	}
	present, signing := s.Observed.Counts()
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "converged at sequence %d: %s, %d present, %d signing, %s\n",
		s.Sequence, render.Count(len(s.Observed.Nodes), "node"), present, signing, render.Posture(s.Observed.StrictEnforced))
	return err
}
