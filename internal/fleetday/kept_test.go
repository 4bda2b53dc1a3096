package fleetday

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A fleet to which everything happens that a planner decides by. Its log is one of
// those that pkg/audit keeps: KEEP_HISTORY names a file to write it to.
func TestAHistoryWithAllThatIsDecidedBy(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		all := []fleet.NodeID{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"}
		r.renews = true
		r.services()
		r.nodes(all...)
		r.want(desired{nodes: all, strict: true, ttl: "1h", issuer: "nyc-1"})
		r.converge(time.Minute)
		r.lostAndFailing()
		r.pausedMeanwhile(all)
		r.removedWithApproval()
		r.blindAndBack()
		calm := r.mark()
		r.pass(55 * time.Minute)
		if renewed := find(r.since(calm), "", events.TypeCredentialProved); len(renewed) < 6 {
			r.Errorf("%d nodes have renewed their credentials", len(renewed))
		}
		r.want(desired{nodes: []fleet.NodeID{"n1", "n2", "n11"}, ttl: "1h", issuer: "nyc-1"})
		r.converge(time.Minute)
		records := r.judge()
		reasons := make(map[fleet.Reason]bool)
		told := make(map[events.Type]bool)
		sight := false
		for _, record := range records {
			told[record.Event.Type] = true
			if d, ok := record.Event.Data.(*events.PlanDecided); ok {
				sight = sight || !d.SightSince.IsZero()
				for _, h := range d.Held {
					reasons[h.Reason] = true
				}
			}
		}
		for _, want := range []fleet.Reason{engine.ReasonPaused, engine.ReasonRemovalBudget, engine.ReasonBlindFleet, engine.ReasonBackingOff} {
			if !reasons[want] {
				r.Errorf("no plan holds anything for %s: %v", want, reasons)
			}
		}
		for _, want := range []events.Type{events.TypeActionFailed, events.TypePlanApproved, events.TypeTrustDelegated, events.TypeEnforcementEnabled, events.TypeEnforcementDisabled} {
			if !told[want] {
				r.Errorf("no %s is on the log", want)
			}
		}
		if !sight {
			r.Error("no plan says since when its planner saw again")
		}
		r.keep(os.Getenv("KEEP_HISTORY"))
	})
}

// lostAndFailing has a node away for longer than two attempts, and a planner
// killed meanwhile.
func (r *rig) lostAndFailing() {
	r.processes["agent-n9"].kill()
	r.processes["planner-1"].kill()
	r.start("planner-1", r.planner)
	r.await(time.Hour, "failures", func(s *projection.State) bool {
		_, _, trying := s.Ledger().InFlight("n9")
		return !trying && s.Ledger().Attempts(fleet.Action{Type: fleet.EnrollNode, ID: "n9"}).Failures >= 4
	})
	r.nodes("stranger") // is taken out while the other waits for its next attempt
	r.await(time.Minute, "a stranger's end", func(s *projection.State) bool { return !s.RemovedAt("stranger").IsZero() })
	r.want(desired{nodes: []fleet.NodeID{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n0"}, strict: true, ttl: "1h", issuer: "nyc-1"})
	r.pass(10 * time.Second)
	r.nodes("n9", "n0")
	r.converge(time.Hour)
}

// pausedMeanwhile wants two nodes, of which one may not come yet.
func (r *rig) pausedMeanwhile(before []fleet.NodeID) {
	r.Helper()
	target := fleet.Target{Scope: fleet.ScopeNode, ID: "n10"}
	word := planner.Word{Actor: "kim", Note: "its disk is replaced", At: time.Now()}
	if _, err := planner.Pause(r.Context(), r.witness.bus.Log(), r.witness.view, target, word); err != nil {
		r.Fatal(err)
	}
	r.nodes("n10", "n11")
	r.want(desired{nodes: append(before, "n10", "n11"), strict: true, ttl: "1h", issuer: "nyc-1"})
	r.await(time.Minute, "the other node", func(s *projection.State) bool { return s.CanSign("n11") })
	word.At = time.Now()
	if _, err := planner.Resume(r.Context(), r.witness.bus.Log(), r.witness.view, target, word); err != nil {
		r.Fatal(err)
	}
	r.converge(time.Minute)
}

// removedWithApproval takes more nodes out than may go at once.
func (r *rig) removedWithApproval() {
	r.Helper()
	r.nodes("n12")
	want := desired{nodes: []fleet.NodeID{"n1", "n2", "n3", "n11", "n12"}, strict: true, ttl: "1h", issuer: "nyc-1"}
	r.want(want)
	r.await(time.Minute, "the new node", func(s *projection.State) bool { return s.CanSign("n12") })
	inv := r.inventory()
	var waiting status.Approval
	waits := false
	r.witness.view.Read(func(s *projection.State) { waiting, waits = status.Waiting(s, inv, time.Now()) })
	if !waits {
		r.Fatal("the removal does not wait for approval")
	}
	word := planner.Word{Actor: "kim", Note: "the old racks", At: time.Now()}
	if err := planner.Approve(r.Context(), r.witness.bus.Log(), waiting.ID, waiting.Basis, word); err != nil {
		r.Fatal(err)
	}
	r.converge(time.Minute)
}

// blindAndBack loses most of the fleet at once, and not all of it comes back.
func (r *rig) blindAndBack() {
	r.Helper()
	for _, id := range []fleet.NodeID{"n1", "n3", "n11", "n12"} {
		r.processes[agentOf(id)].kill()
	}
	r.await(time.Hour, "their loss", func(s *projection.State) bool { return s.Lost("n1") && s.Lost("n3") && s.Lost("n11") && s.Lost("n12") })
	r.nodes("n13")
	r.want(desired{nodes: []fleet.NodeID{"n1", "n2", "n3", "n11", "n12", "n13"}, strict: true, ttl: "1h", issuer: "nyc-1"})
	r.await(time.Minute, "the new node", func(s *projection.State) bool { return s.CanSign("n13") })
	r.nodes("n1", "n11", "n12")
	r.await(time.Minute, "an attempt for who did not come back", func(s *projection.State) bool {
		_, _, trying := s.Ledger().InFlight("n3")
		return trying
	})
	r.nodes("n3")
	r.converge(time.Hour)
}

// keep writes the log to a file.
func (r *rig) keep(name string) {
	r.Helper()
	if name == "" {
		return
	}
	bus := r.witness.bus
	last, err := bus.Log().Last(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	var file bytes.Buffer
	export := archive.Export{Source: archive.Live{Log: bus.Log(), Get: bus.GetInventory}, Subjects: bus.Log().Subjects(), Until: last}
	if _, err := export.Write(r.Context(), &file); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		r.Fatal(err)
	}
}
