package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/history"
	"github.com/fleetfold/fleetfold/pkg/merkle"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Report is the result of an audit.
type Report struct {
	// Plans that were decided again, Actions that were published, Proofs that were
	// verified, Records that were read.
	Plans   int    `json:"plans"`
	Actions int    `json:"actions"`
	Proofs  int    `json:"proofs"`
	Records uint64 `json:"records"`
	// Mismatches by sequence, at most MaxListed; MismatchesTotal counts them all.
	Mismatches      []Difference `json:"mismatches"`
	MismatchesTotal int          `json:"mismatches_total"`
	// Root of the Merkle tree over all records, in base64.
	Root string `json:"root"`
}

// MaxListed bounds Report.Mismatches: of a log that is wrong everywhere, the
// first will do.
const MaxListed = 10_000

// Options of an audit. The zero value is an audit without checkpoints.
type Options struct {
	// Checkpoints were kept elsewhere: the log must have been as they say.
	Checkpoints []merkle.Checkpoint
	// Keys that the checkpoints on the log must be signed by, of which there must be
	// one unless Checkpoints has one; none: whoever signed them.
	Keys []note.Verifier
	// Progress is called now and then with the sequence that was reached; nil: nobody.
	Progress func(sequence uint64)
}

// Run audits a history. The error says why it could not be read to its end; what
// is wrong with it is in the report.
func Run(ctx context.Context, source Source, o Options) (Report, error) {
	a := newAudit(ctx, source, o)
	state, err := Walk(ctx, source, Visitor{
		Decision: a.decision, Skipped: a.skipped, Record: a.record, Folded: a.folded,
	})
	a.proofs.close(&a.report)
	if err != nil && !a.cut(state.Sequence(), err) {
		return Report{}, fmt.Errorf("audit behind sequence %d: %w", state.Sequence(), err)
	}
	return a.end(state.Sequence()), nil
}

// cut reports what ends a history early and is itself a difference: a gap, or a
// file that is not what was written.
func (a *audit) cut(last uint64, err error) bool {
	var gap *Gap
	var fault *archive.Fault
	switch next := fmt.Sprint("sequence ", last+1); {
	case errors.As(err, &gap):
		a.differ(gap.Found, WhatSequence, next, fmt.Sprint("sequence ", gap.Found))
	case errors.As(err, &fault):
		a.differ(fault.Sequence, WhatFile, "the file that the export wrote", fault.Error())
	case errors.Is(err, eventlog.ErrGap):
		a.differ(last+1, WhatSequence, next, err.Error())
	default:
		return false
	}
	return true
}

// audit is one run.
type audit struct {
	ctx         context.Context
	options     Options
	report      Report
	inventories *view.Inventories
	missing     map[string]bool // inventories that were reported
	rules       *history.Checker
	deciders    deciders
	desired     *decide.Desired // of the inventory last decided with
	tree        *merkle.Recent
	source      Source
	again       *merkle.Frontier // see rootAt
	signatures  int              // of checkpoints on the log
	trust       trusted
	proofs      *proofs
	issued      issued
}

func newAudit(ctx context.Context, source Source, o Options) *audit {
	a := &audit{ctx: ctx, source: source, options: o, missing: make(map[string]bool), deciders: make(deciders), issued: make(issued)}
	a.inventories = view.NewInventories(source.Inventory)
	a.rules = history.NewChecker(a.inventory)
	f, _ := merkle.NewFrontier(0, nil) // an empty one cannot be wrong
	a.tree = merkle.NewRecent(f)
	a.proofs = newProofs()
	return a
}

func (a *audit) inventory(digest string) (*fleet.Inventory, error) {
	return a.inventories.Get(a.ctx, digest)
}

func (a *audit) differ(sequence uint64, what What, expected, found string) {
	a.report.add(Difference{sequence, what, expected, found})
}

func (r *Report) add(d Difference) {
	if r.MismatchesTotal++; len(r.Mismatches) < MaxListed {
		r.Mismatches = append(r.Mismatches, d)
	}
}

// progressEvery is how many records pass between two calls of Progress.
const progressEvery = 1024

// record looks at a record on the fold of everything before it.
func (a *audit) record(before *projection.State, r eventlog.Record) error {
	defer func() {
		a.tree.Append(merkle.LeafOf(r))
		a.checkpoints(r.Sequence)
	}()
	for _, v := range a.rules.Record(before, r) {
		a.broken(v)
	}
	if r.Event == nil {
		a.differ(r.Sequence, WhatEvent, "an event of the log", fmt.Sprint(r.Err))
		return nil
	}
	switch d := r.Event.Data.(type) {
	case *events.ActionRequested:
		a.report.Actions++
	case *events.CredentialProved:
		return a.proved(before, r)
	case *events.CredentialIssued:
		a.issued.add(r, d)
	case *events.NodeRemoved:
		delete(a.issued, r.Event.Node)
	case *events.TrustPublished:
		a.published(r.Sequence, d)
	case *events.TrustDelegated:
		a.delegated(before, r.Sequence, d)
	case *events.TrustActivated:
		a.activated(before, r.Sequence, d)
	case *events.TrustRetired:
		a.retired(before, r.Sequence, d)
	case *events.CheckpointSigned:
		return a.signed(r.Sequence, d)
	}
	return nil
}

// folded keeps what proofs are verified against up to date.
func (a *audit) folded(after *projection.State, r eventlog.Record, c projection.Change) error {
	if c.Trust || c.Inventory {
		a.trust.change(r.Time, a.believed(after))
	}
	if a.options.Progress != nil && r.Sequence%progressEvery == 0 {
		a.options.Progress(r.Sequence)
	}
	return nil
}

// expected says of each rule of a history what should be.
var expected = map[history.Rule]string{
	history.RuleFlip:    "an inventory that asks for it, and every desired node present and able to sign",
	history.RuleBatch:   "a plan followed by exactly its actions, decided on the log before it",
	history.RuleOnce:    "an action that is published once, and whose work stands before its outcome",
	history.RuleOutcome: "one outcome for each action, which names it as it was published",
	history.RulePhase:   "an outcome behind those of all earlier phases of its plan",
	history.RuleProof:   "an answer to the newest challenge of that node",
}

// broken takes what pkg/history found.
func (a *audit) broken(v history.Violation) {
	a.differ(v.Sequence, What(v.Rule), expected[v.Rule], v.Detail)
}

func (a *audit) end(last uint64) Report {
	for _, v := range a.rules.End(last) {
		a.broken(v)
	}
	a.unreached(last)
	a.unsigned(last)
	inOrder(a.report.Mismatches)
	a.report.Records = last
	a.report.Root = a.tree.Frontier().Root().String()
	if a.report.Mismatches == nil {
		a.report.Mismatches = []Difference{}
	}
	return a.report
}
