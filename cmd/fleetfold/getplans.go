package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newGetPlans() *cobra.Command {
	var f getFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "plans",
		Short: "List the plans that were published, oldest first",
		Long: `List the plans that were published, oldest first: what each asked for, how much it
held, and how many of its actions have no outcome yet.`,
		Example: `  fleetfold get plans
  fleetfold get plans -n 0 -o jsonl
  fleetfold log --plan plan-22c959bb`,
		Args: cobra.NoArgs,
	}
	f.addTo(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "the newest `N` plans, 0 or more; 0 means all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 0 {
			return cli.Usagef("--limit is %d, must be 0 or more", limit)
		}
		p := plans{limit: limit}
		return get(cmd, &f, kind[status.Plan]{
			plural: "plans", columns: planColumns, key: func(p status.Plan) string { return fmt.Sprint(p.Sequence) }, list: p.list,
		})
	}
	return cmd
}

// plans are the newest ones that were read so far.
type plans struct {
	limit int
	after [2]uint64 // on the subject of the fleet's plans, and on those of shards
	read  []status.Plan
}

func (p *plans) list(ctx context.Context, l *live, _ time.Time) ([]status.Plan, error) {
	s := l.bus.Log().Subjects()
	for i, subject := range []string{s.Plan(), s.AllShardPlans()} {
		if err := p.readOn(ctx, l.bus, subject, &p.after[i]); err != nil {
			return nil, fmt.Errorf("read plans: %w", err)
		}
	}
	var open map[fleet.PlanID]int
	l.view.Read(func(st *projection.State) { open = status.Open(st) })
	list := append([]status.Plan{}, p.read...)
	for i := range list {
		list[i].Open = open[list[i].Plan]
	}
	return list, nil
}

// readOn reads on where the last call ended.
func (p *plans) readOn(ctx context.Context, bus *eventlog.Bus, subject string, after *uint64) error {
	const page = 200
	for {
		records, err := bus.ReadSubject(ctx, subject, *after, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			*after = r.Sequence
			if plan, ok := status.PlanOf(r); ok {
				p.read = append(p.read, plan)
			}
		}
		slices.SortFunc(p.read, func(a, b status.Plan) int { return cmp.Compare(a.Sequence, b.Sequence) })
		if p.limit > 0 && len(p.read) > p.limit {
			p.read = append([]status.Plan{}, p.read[len(p.read)-p.limit:]...)
		}
		if len(records) < page {
			return nil
		}
	}
}
