package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// brief is a fleet by a planner's word.
type brief struct {
	// Fleet as the planner that had read farthest found it.
	Fleet    *eventlog.FleetReport `json:"fleet"`
	Services []status.Service      `json:"services"`
}

var errNoWord = errors.New("no planner answered that has decided")

// statusBrief asks the planners, and reads nothing of the log but where it ends.
func statusBrief(cmd *cobra.Command, nats *cli.NATSFlags, output string) error {
	bus, err := connect(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	end, err := bus.Log().Last(cmd.Context())
	if err != nil {
		return err
	}
	found, err := bus.Services(cmd.Context())
	if err != nil {
		return err
	}
	b := briefOf(found, end)
	if b.Fleet == nil {
		return cli.WithHint(errNoWord, "without --brief the log itself is read; a planner decides once an inventory is in force and it has read all of the log")
	}
	if output == "json" {
		return render.JSON(cmd.OutOrStdout(), b)
	}
	return briefText(cmd.OutOrStdout(), b)
}

func briefOf(found []eventlog.Service, end uint64) brief {
	var s status.Status
	s.SetServices(found, end)
	b := brief{Services: s.Services}
	for _, f := range found {
		if f.Fleet != nil && (b.Fleet == nil || f.Fleet.Sequence > b.Fleet.Sequence) {
			b.Fleet = f.Fleet
		}
	}
	return b
}

func briefText(w io.Writer, b brief) error {
	f, out := b.Fleet, bufio.NewWriter(w) // it keeps the first error of writing
	headText(out, head{
		converged: f.Converged, sequence: f.Sequence, digest: f.Digest, generation: f.Generation,
		observed: f.Observed, present: f.Present, signing: f.Signing, strict: f.Strict,
	})
	for _, kind := range eventlog.ServiceKinds {
		servicesText(out, kind, b.Services, render.Colour(w))
	}
	fmt.Fprintf(out, "wanted       %s\n", render.Count(f.Wanted, "action"))
	fmt.Fprintf(out, "in flight    %d\n", f.InFlight)
	if len(f.Held) > 0 {
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(f.Held)) {
			reasons = append(reasons, fmt.Sprintf("%d %s", f.Held[reason], reason))
		}
		fmt.Fprintf(out, "held         %s\n", strings.Join(reasons, ", "))
	}
	if f.Stuck > 0 {
		fmt.Fprintf(out, "stuck        %s\n", render.Count(f.Stuck, "action"))
	}
	return out.Flush()
}

// head is what stands first in each form of status.
type head struct {
	converged                  bool
	sequence, generation       uint64
	digest                     string // of the inventory; empty: none
	observed, present, signing int
	strict                     bool
}

func headText(w io.Writer, h head) {
	state, inv := "not converged", "none applied yet"
	if h.converged {
		state = "converged"
	}
	if h.digest != "" {
		inv = fmt.Sprintf("generation %d, %s", h.generation, logline.Digest(h.digest))
	}
	fmt.Fprintf(w, "state        %s at sequence %d\ninventory    %s\nnodes        %d observed, %d present, %d signing\nenforcement  %s\n",
		state, h.sequence, inv, h.observed, h.present, h.signing, render.Posture(h.strict))
}
