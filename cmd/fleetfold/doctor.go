package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/doctor"
	"github.com/fleetfold/fleetfold/internal/render"
)

// exitWarnings says that nothing failed and something weakens the fleet.
const exitWarnings = 2

type doctorFlags struct {
	nats             cli.NATSFlags
	monitor          cli.MonitorFlags
	timeout, overdue time.Duration
	output           *string
	now              func() time.Time
}

func newDoctor() *cobra.Command { return newDoctorAt(time.Now) }

// newDoctorAt compares the server's clock with the given one.
func newDoctorAt(now func() time.Time) *cobra.Command {
	f := doctorFlags{now: now}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check server, streams, log, executors, leases and clocks of a running fleet",
		Long: `Check server, streams, log, executors, leases and clocks of a running fleet, and say
what to do about what is not well. Nothing is changed.

Each check is ok, unknown (it could not be asked), warn (it works, and something
weakens it) or fail (the fleet does not work as promised). What is worst comes last.

Only a server itself knows whether it syncs what it acknowledges. It says so on its
monitoring page, to be named with --monitor, or to connections that may use the
system account.

Exit code 0 means that all is ok or unknown, 2 that there are warnings, 1 that a
check failed, 64 a mistake in the call.`,
		Example: `  fleetfold doctor --monitor http://127.0.0.1:8222

  # what is not well, for a program
  fleetfold doctor -o json | jq '.findings[] | select(.state != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.nats.AddTo(flags)
	f.monitor.AddTo(flags)
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "`DURATION` for all questions together; a long log takes its time to fold")
	flags.DurationVar(&f.overdue, "overdue", 2*time.Minute, "`DURATION` without an outcome after which an action is overdue")
	f.output = addOutput(flags, "output `FORMAT`", "text", "json")
	return cmd
}

func (f *doctorFlags) check() error {
	if f.timeout <= 0 || f.overdue <= 0 {
		return cli.Usagef("--timeout and --overdue must be above 0")
	}
	if _, err := f.nats.Options(""); err != nil {
		return err
	}
	return f.monitor.Check()
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	facts := f.facts(ctx)
	if errors.Is(cmd.Context().Err(), context.Canceled) {
		return cmd.Context().Err()
	}
	findings := doctor.Examine(facts)
	w := cmd.OutOrStdout()
	var err error
	if *f.output == "json" {
		err = render.JSON(w, newDoctorJSON(findings))
	} else {
		err = doctorText(w, findings, render.Colour(w))
	}
	if err != nil {
		return err
	}
	switch doctor.Worst(findings) {
	case doctor.Fail:
		return cli.Exit{Code: cli.ExitFailure}
	case doctor.Warn:
		return cli.Exit{Code: exitWarnings}
	}
	return nil
}

type doctorJSON struct {
	State    doctor.State         `json:"state"` // the worst
	Counts   map[doctor.State]int `json:"counts"`
	Findings []doctor.Finding     `json:"findings"`
}

func newDoctorJSON(findings []doctor.Finding) doctorJSON {
	return doctorJSON{State: doctor.Worst(findings), Counts: doctor.Count(findings), Findings: findings}
}

var stateColour = map[doctor.State]string{
	doctor.OK: render.Green, doctor.Unknown: render.Magenta, doctor.Warn: render.Yellow, doctor.Fail: render.Red,
}

// doctorText has the worst next to the prompt, where it is seen.
func doctorText(w io.Writer, findings []doctor.Finding, colour bool) error {
	paint := func(s doctor.State, text string) string {
		if !colour {
			return text
		}
		return render.Paint(stateColour[s], text)
	}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b doctor.Finding) int {
		return cmp.Compare(slices.Index(doctor.States, a.State), slices.Index(doctor.States, b.State))
	})
	b := bufio.NewWriter(w) // it keeps the first error of writing
	for _, f := range sorted {
		fmt.Fprintf(b, "%s  %-12s  %s\n", paint(f.State, fmt.Sprintf("%-7s", f.State)), f.Check, f.Text)
		if f.Next != "" {
			fmt.Fprintf(b, "%-7s  %-12s  next: %s\n", "", "", f.Next)
		}
	}
	counts, parts := doctor.Count(findings), []string(nil)
	for _, s := range doctor.States {
		parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
	}
	fmt.Fprintf(b, "%s: %s\n", render.Count(len(findings), "check"), strings.Join(parts, ", "))
	return b.Flush()
}
