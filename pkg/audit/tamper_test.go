package audit_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// story is a history in memory that tests may change.
type story struct {
	t       *testing.T
	records []eventlog.Record
	fetch   func(context.Context, string) ([]byte, error)
}

func tell(t *testing.T) *story {
	t.Helper()
	file := open(t, kept(t)[0])
	s := &story{t: t, fetch: file.Inventory}
	for r, err := range file.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		s.records = append(s.records, r)
	}
	return s
}

func (s *story) Inventory(ctx context.Context, digest string) ([]byte, error) {
	return s.fetch(ctx, digest)
}

func (s *story) Records(_ context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, r := range s.records {
			if r.Sequence > after && !yield(r, nil) {
				return
			}
		}
	}
}

// find is the first record from a place on of a type for which cond holds.
func find[D any](s *story, from int, cond func(*D) bool) int {
	s.t.Helper()
	for i := from; i < len(s.records); i++ {
		if e := s.records[i].Event; e != nil {
			if d, ok := any(e.Data).(*D); ok && (cond == nil || cond(d)) {
				return i
			}
		}
	}
	s.t.Fatalf("no such record from %d on", from)
	return 0
}

// rewrite changes the data of a record and writes its message anew.
func rewrite[D any](s *story, at int, change func(*D)) {
	s.t.Helper()
	e := *s.records[at].Event
	d := *any(e.Data).(*D)
	change(&d)
	e.Data, e.Body = any(&d).(events.Payload), nil
	s.put(at, &e)
}

// put writes an event in place of another.
func (s *story) put(at int, e *events.Event) {
	s.t.Helper()
	m, err := events.Encode(events.DefaultSubjects(), e)
	if err != nil {
		s.t.Fatal(err)
	}
	r := eventlog.Record{Sequence: s.records[at].Sequence, Time: s.records[at].Time, Message: m}
	r.Event, r.Err = events.Decode(events.DefaultSubjects(), m)
	s.records[at] = r
}

// number counts the sequences anew.
func (s *story) number() {
	for i := range s.records {
		s.records[i].Sequence = uint64(i) + 1
	}
}

func (s *story) audit(o audit.Options) audit.Report {
	s.t.Helper()
	report, err := audit.Run(s.t.Context(), s, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func isHeld(d *events.PlanDecided) bool { return len(d.Held) > 0 }

// Each change is found where it was made, by its name. Changes of what the fold
// believes lead to more behind them.
func TestWhatWasChangedIsFound(t *testing.T) {
	plan := func(change func(*events.PlanDecided)) func(*story) int {
		return func(s *story) int {
			at := find(s, 100, isHeld)
			rewrite(s, at, change)
			return at
		}
	}
	for name, c := range map[string]struct {
		change func(*story) int // the place
		what   audit.What
	}{
		"a plan has another id":         {plan(func(d *events.PlanDecided) { d.Plan = "plan-0" }), audit.WhatPlan},
		"a plan asks for another node":  {plan(func(d *events.PlanDecided) { d.Actions = slices.Clone(d.Actions); d.Actions[0].ID = "n7" }), audit.WhatActions},
		"a plan counts attempts wrong":  {plan(func(d *events.PlanDecided) { d.Actions = slices.Clone(d.Actions); d.Actions[0].Attempt++ }), audit.WhatActions},
		"a plan leaves an action out":   {plan(func(d *events.PlanDecided) { d.Actions = d.Actions[:len(d.Actions)-1] }), audit.WhatActions},
		"a hold has another reason":     {plan(func(d *events.PlanDecided) { d.Held = slices.Clone(d.Held); d.Held[0].Reason = "paused_by_nobody" }), audit.WhatHeld},
		"a hold has another detail":     {plan(func(d *events.PlanDecided) { d.Held = slices.Clone(d.Held); d.Held[0].Detail += "." }), audit.WhatHeld},
		"a hold is left out":            {plan(func(d *events.PlanDecided) { d.Held = d.Held[1:] }), audit.WhatHeld},
		"holds are counted wrong":       {plan(func(d *events.PlanDecided) { d.HeldTotal++ }), audit.WhatHeldTotal},
		"a plan names an unknown rule":  {plan(func(d *events.PlanDecided) { d.RuleVersion = "0" }), audit.WhatRuleVersion},
		"a plan names thresholds":       {plan(func(d *events.PlanDecided) { d.Policy.MaxInFlight = 0 }), audit.WhatThresholds},
		"a plan had other thresholds":   {heldFor("removal_budget", func(d *events.PlanDecided) { d.Safeguards.RemovalMin = 900 }), audit.WhatHeld},
		"a plan names another fold":     {plan(func(d *events.PlanDecided) { d.Basis = 1 }), audit.WhatBasis},
		"a plan names the future":       {plan(func(d *events.PlanDecided) { d.Basis = 100_000 }), audit.WhatBasis},
		"a plan names other text":       {plan(func(d *events.PlanDecided) { d.InventoryDigest = "sha256:" + strings.Repeat("0", 64) }), audit.WhatInventory},
		"a plan names a generation":     {plan(func(d *events.PlanDecided) { d.Generation++ }), audit.WhatInventory},
		"a planner was not settled":     {plan(func(d *events.PlanDecided) { d.Settled, d.Waiting = false, "waiting for godot" }), audit.WhatHeld},
		"a planner's clock is another":  {heldFor("backing_off", func(d *events.PlanDecided) { d.DecidedAt = d.DecidedAt.Add(time.Hour) }), audit.WhatHeld},
		"a record is missing":           {func(s *story) int { s.records = slices.Delete(s.records, 50, 51); return 50 }, audit.WhatSequence},
		"a record stands twice":         {func(s *story) int { s.records = slices.Insert(s.records, 50, s.records[50]); return 51 }, audit.WhatSequence},
		"a message is no event":         {noEvent, audit.WhatEvent},
		"an outcome is told twice":      {again[events.ActionSucceeded], audit.WhatOutcome},
		"an action is published twice":  {again[events.ActionRequested], audit.WhatOnce},
		"an action stands elsewhere":    {actionMoved, audit.WhatBatch},
		"enforcement comes too early":   {flipTooEarly, audit.WhatFlip},
		"a proof has another signature": {anotherSignature, audit.WhatProof},
		"a proof stands twice":          {anothersProof, audit.WhatProof},
		"a proof answers an old nonce":  {func(s *story) int { return changed(s, func(d *events.CredentialProved) { d.Nonce = "old" }) }, audit.WhatProof},
		"an intermediate is another's":  {anotherRoot, audit.WhatTrust},
		"a root has another key":        {func(s *story) int { return changed(s, func(d *events.TrustPublished) { d.Fingerprint = "sha256:00" }) }, audit.WhatTrust},
		"a serial is another":           {func(s *story) int { return changed(s, func(d *events.TrustDelegated) { d.Serial = "00" }) }, audit.WhatTrust},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			at := s.records[max(c.change(s), 0)].Sequence
			report := s.audit(audit.Options{})
			if !slices.ContainsFunc(report.Mismatches, func(d audit.Difference) bool { return d.Sequence == at && d.What == c.what }) {
				t.Errorf("no %s at %d; found %v", c.what, at, report.Mismatches)
			}
		})
	}
}

func changed[D any](s *story, change func(*D)) int {
	at := find[D](s, 0, nil)
	rewrite(s, at, change)
	return at
}

// heldFor changes a plan that holds something for a reason.
func heldFor(reason fleet.Reason, change func(*events.PlanDecided)) func(*story) int {
	return func(s *story) int {
		at := find(s, 0, func(d *events.PlanDecided) bool {
			return slices.ContainsFunc(d.Held, func(h fleet.Held) bool { return h.Reason == reason })
		})
		rewrite(s, at, change)
		return at
	}
}

func noEvent(s *story) int {
	s.records[60].Message = events.Message{Subject: "fleet.events.control", Data: []byte("{}")}
	_, s.records[60].Err = events.Decode(events.DefaultSubjects(), s.records[60].Message)
	s.records[60].Event = nil
	return 60
}

// again tells a thing once more, at the end.
func again[D any](s *story) int {
	s.records = append(s.records, s.records[find[D](s, 0, nil)])
	s.number()
	return len(s.records) - 1
}

func actionMoved(s *story) int {
	at := find[events.ActionRequested](s, 0, nil)
	s.records[at], s.records[at+1] = s.records[at+1], s.records[at]
	s.number()
	return at
}

// flipTooEarly loses a node in the moment before.
func flipTooEarly(s *story) int {
	at := find[events.EnforcementEnabled](s, 0, nil)
	s.records = slices.Insert(s.records, at, s.records[at])
	s.number()
	s.put(at, &events.Event{
		ID: "lost", Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: "n1", Time: s.records[at].Time,
		Data: &events.NodeLost{Epoch: 1, Reason: "lease_expired"},
	})
	return at + 1
}

func anotherSignature(s *story) int {
	at := find[events.CredentialProved](s, 0, nil)
	e, other := *s.records[at].Event, s.records[find[events.CredentialProved](s, at+1, nil)].Event
	e.DSSEMaterial = other.DSSEMaterial
	s.put(at, &e)
	return at
}

// anothersProof takes a proof out of the log for the next one, which then stands
// there twice.
func anothersProof(s *story) int {
	at := find[events.CredentialProved](s, 0, nil)
	next := find[events.CredentialProved](s, at+1, nil)
	e := *s.records[next].Event
	s.put(at, &e)
	return next
}

// anotherRoot has an intermediate that its root has not signed.
func anotherRoot(s *story) int {
	stranger := newLife(s.t, 10, 0)
	at := find[events.TrustDelegated](s, 0, nil)
	for _, ca := range stranger.issuers {
		rewrite(s, at, func(d *events.TrustDelegated) {
			d.CertificatePEM, d.Fingerprint, d.Serial, d.NotAfter = string(ca.CertificatePEM()), ca.Fingerprint(), ca.Serial(), ca.NotAfter()
		})
	}
	return at
}

// Whoever kept a checkpoint finds any change before it, also one that proves.
func TestACheckpointThatWasKeptIsHeldAgainstTheLog(t *testing.T) {
	s := tell(t)
	tree, err := merkle.NewFrontier(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.records[:80] {
		tree.Append(merkle.LeafOf(r))
	}
	c := merkle.Checkpoint{Origin: "fleet.example", Size: 80, Root: tree.Root()}
	if report := s.audit(audit.Options{Checkpoints: []merkle.Checkpoint{c}}); report.MismatchesTotal > 0 {
		t.Errorf("found %v", report.Mismatches)
	}
	for name, change := range map[string]func(){
		"an actor has another name": func() {
			rewrite(s, find[events.InventoryApplied](s, 0, nil), func(d *events.InventoryApplied) { d.Actor = "nobody" })
		},
		"the end is cut off": func() { s.records = s.records[:79] },
	} {
		s = tell(t)
		change()
		report := s.audit(audit.Options{Checkpoints: []merkle.Checkpoint{c}})
		if n := len(report.Mismatches); n == 0 || report.Mismatches[n-1].What != audit.WhatCheckpoint {
			t.Errorf("%s: found %v", name, report.Mismatches)
		}
	}
}

func TestAnErrorOfReadingIsNoDifference(t *testing.T) {
	broken := fmt.Errorf("the disk is gone")
	s := tell(t)
	s.fetch = func(context.Context, string) ([]byte, error) { return nil, eventlog.ErrNoInventory }
	report := s.audit(audit.Options{})
	if len(report.Mismatches) == 0 || report.Mismatches[0].What != audit.WhatInventory {
		t.Errorf("without inventories: %v", report.Mismatches)
	}
	if _, err := audit.Run(t.Context(), failing{tell(t), broken}, audit.Options{}); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("a source that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Run(ctx, tell(t), audit.Options{}); err == nil {
		t.Error("an audit that was interrupted proves something")
	}
}

// failing fails in the middle.
type failing struct {
	*story
	err error
}

func (f failing) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range f.story.Records(ctx, after) {
			if r.Sequence == 90 {
				yield(eventlog.Record{}, f.err)
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
