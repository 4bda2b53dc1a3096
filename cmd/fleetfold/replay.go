package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

type replayFlags struct {
	source                sourceFlags
	at, inventory, policy string
	step                  bool
	output                *string
}

func newReplay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Show the fleet as it was at any point of its history, and what else could have been decided",
		Long: `Show the fleet as it was at any point of its history: what was observed, what was in
flight, and what lay between that and the inventory in force. Nothing is changed,
and nothing is published.

With --inventory, each decision is made again with that inventory in place of the
one in force, and with --policy by other thresholds; shown is where that would have
differed from what was published, and the plan at the end. What happened on what
was published is as it was. The file of --policy is YAML, with any of:

  removal_min: 5           max_in_flight: 256
  removal_fraction: 0.02   backoff_base: 1s
  blind_fraction: 0.55     backoff_cap: 5m
  blind_min: 3             jitter: 0.2
  lost_wait: 5s            stuck_after: 3
  flap_threshold: 3
  flap_half_life: 10m

--step walks through the history on a terminal, decision by decision.`,
		Example: `  # as it was behind sequence 1200, and yesterday at noon
  fleetfold replay --at 1200
  fleetfold replay --at 2026-11-23T12:00:00Z

  # what would that inventory have done with that history?
  fleetfold replay --inventory other.yaml

  # decision by decision
  fleetfold replay --step`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.source.addTo(flags)
	flags.StringVar(&f.at, "at", "", "`POINT` to show: a sequence of the log, from 0, or a time as in RFC 3339; without it the end")
	flags.StringVar(&f.inventory, "inventory", "", "inventory `FILE` to decide with in place of the ones in force")
	flags.StringVar(&f.policy, "policy", "", "`FILE` with thresholds to decide by in place of those that planners had")
	flags.BoolVar(&f.step, "step", false, "walk through the decisions on this terminal")
	f.output = addOutput(flags, "output `FORMAT`", "text", "json")
	return cmd
}

func (f *replayFlags) run(cmd *cobra.Command) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	point, err := parsePoint(f.at)
	if err != nil {
		return err
	}
	change, err := f.change(cmd)
	if err != nil {
		return err
	}
	source, err := f.source.open(cmd.Context(), cmd)
	if err != nil {
		return err
	}
	defer source.close()
	history := audit.Until(source, point.past)
	if f.step {
		return stepThrough(cmd, history, change)
	}
	return f.show(cmd, source, history, change, point)
}

func (f *replayFlags) check(cmd *cobra.Command) error {
	switch {
	case f.inventory == stdin && f.policy == stdin:
		return cli.WithHint(cli.Usagef("--inventory and --policy are both standard input"), "give one of them as a file")
	case f.step && *f.output != "text":
		return cli.Usagef("--step shows pages on a terminal, and no %s", *f.output)
	case f.step && (f.inventory == stdin || f.policy == stdin):
		return cli.WithHint(cli.Usagef("--step reads its keys from standard input"), "give inventory and thresholds as files")
	case f.step && !isScreen(cmd):
		return cli.WithHint(cli.Usagef("--step needs a terminal to read keys from and to draw on"), "without --step, replay prints what it finds")
	}
	return nil
}

// change is what to decide by in place of what was given.
func (f *replayFlags) change(cmd *cobra.Command) (c audit.Change, err error) {
	if f.inventory != "" {
		_, inv, rep := inventory.Read(input(cmd, f.inventory))
		var problems []string
		for _, p := range rep.Errors {
			problems = append(problems, problemLine(f.inventory, "", p))
		}
		if len(problems) > 0 {
			return c, cli.WithHint(fmt.Errorf("nothing can be replayed with that inventory:\n  %s", strings.Join(problems, "\n  ")),
				fmt.Sprintf("mend the inventory; 'fleetfold validate %s' checks it", f.inventory))
		}
		c.Inventory = inv
	}
	if f.policy == "" {
		return c, nil
	}
	text, err := input(cmd, f.policy)()
	if err != nil {
		return c, cli.WithHint(fmt.Errorf("%s: %w", shown(f.policy), err), hintUnreadable)
	}
	if c.Thresholds, err = audit.ParseThresholds(text); err != nil {
		return c, cli.WithHint(fmt.Errorf("%s: %w", shown(f.policy), err), "'fleetfold replay --help' shows its form")
	}
	return c, nil
}

// replayed is the form for machines.
type replayed struct {
	// Status as of Sequence and Time, by the inventory in force there.
	Sequence uint64        `json:"sequence"`
	Time     time.Time     `json:"time"`
	Status   status.Status `json:"status"`
	// Decisions up to there.
	Decisions int `json:"decisions"`
	// Divergences and Would are there where something was to be changed: where that
	// would have differed, and what would be decided at the end.
	Divergences []audit.Divergence `json:"divergences,omitempty"`
	Would       *wouldJSON         `json:"would,omitempty"`
}

type wouldJSON struct {
	Publish []fleet.Action `json:"publish"`
	Held    []fleet.Held   `json:"held"`
}

func (f *replayFlags) show(cmd *cobra.Command, source *recorded, history audit.Source, change audit.Change, point point) error {
	ctx := cmd.Context()
	far := newProgress(cmd.ErrOrStderr(), "replayed", source.end)
	out := replayed{}
	st, err := audit.Replay(ctx, history, change, audit.Show{
		Point: func(_ *projection.State, p audit.Point) error {
			out.Decisions++
			if d, differs := p.Diverges(); differs {
				out.Divergences = append(out.Divergences, d)
			}
			return nil
		},
		Record: func(_ *projection.State, r eventlog.Record) error {
			far.at(r.Sequence)
			out.Time = r.Time
			return nil
		},
	})
	far.end()
	if err != nil {
		return withReplayHint(err)
	}
	if err := point.reached(st.Sequence()); err != nil {
		return err
	}
	at := point.at
	if at.IsZero() {
		at = out.Time
	}
	inv, err := inForceThere(cmd, source, st)
	if err != nil {
		return err
	}
	out.Sequence, out.Time, out.Status = st.Sequence(), at.UTC(), status.Of(st, inv, at)
	if !change.None() {
		would, err := change.AtEnd(st, inv, at)
		if err != nil {
			return withReplayHint(err)
		}
		out.Would = newWould(would)
	}
	if *f.output == "json" {
		return render.JSON(cmd.OutOrStdout(), out)
	}
	out.Status.Services = nil
	return replayText(cmd.OutOrStdout(), out)
}

func newWould(d decide.Decided) *wouldJSON {
	w := &wouldJSON{Publish: []fleet.Action{}, Held: append([]fleet.Held{}, d.Held...)}
	for _, s := range d.Publish {
		w.Publish = append(w.Publish, s.Action)
	}
	return w
}

func withReplayHint(err error) error {
	if errors.Is(err, audit.ErrThresholds) {
		return cli.WithHint(err, "what --policy leaves out stays as it was recorded; name both ends of a range")
	}
	return cli.WithHint(notProved(err), "'fleetfold audit' says what of a history does not hold")
}

// inForceThere is the inventory in force on a fold; nil for none.
func inForceThere(cmd *cobra.Command, source audit.Source, st *projection.State) (*fleet.Inventory, error) {
	digest := st.Inventory().Digest
	if digest == "" {
		return nil, nil
	}
	inv, err := view.NewInventories(source.Inventory).Get(cmd.Context(), digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory in force: %w", err)
	}
	return inv, nil
}

func replayText(w io.Writer, r replayed) error {
	fmt.Fprintf(w, "as of        sequence %d, %s, after %s\n", r.Sequence, exactTime(r.Time), render.Count(r.Decisions, "decision"))
	if err := statusText(w, r.Status); err != nil {
		return err
	}
	if r.Would == nil {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", divergenceHead(r))
	for _, d := range r.Divergences {
		fmt.Fprintf(w, "  sequence %d, decided on %d at %s\n", d.Sequence, d.Basis, exactTime(d.At))
		actionLines(w, "also", d.Added)
		actionLines(w, "not", d.Missing)
		for _, h := range d.Held {
			fmt.Fprintf(w, "    held  %s  %s: %s\n", actionText(h.Action), h.Reason, h.Detail)
		}
	}
	fmt.Fprintf(w, "\nAt the end it would publish %s and hold %d.\n", render.Count(len(r.Would.Publish), "action"), len(r.Would.Held))
	actionLines(w, "now", r.Would.Publish)
	return render.Held(w, r.Would.Held, render.Options{Colour: render.Colour(w)})
}

func divergenceHead(r replayed) string {
	if len(r.Divergences) == 0 {
		return "With the change, each decision would have been the one that was published."
	}
	return fmt.Sprintf("With the change, %d of %s would have been another:", len(r.Divergences), render.Count(r.Decisions, "decision"))
}

func actionLines(w io.Writer, word string, actions []fleet.Action) {
	for _, a := range actions {
		fmt.Fprintf(w, "    %-4s  %s\n", word, actionText(a))
	}
}

func actionText(a fleet.Action) string { return strings.TrimSpace(string(a.Type) + " " + string(a.ID)) }

func exactTime(t time.Time) string {
	if t.IsZero() {
		return "before anything was said"
	}
	return t.UTC().Format(time.RFC3339Nano)
}
