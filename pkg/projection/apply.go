package projection

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ErrGap means that an event came out of sequence. The state is as before, and
// of no more use: fold again from the start.
var ErrGap = errors.New("sequence has a gap")

// Change is what one event touched. The zero Change means nothing.
type Change struct {
	// Nodes whose facts changed, or that are no longer observed.
	Nodes []fleet.NodeID
	// Inventory, Enforcement and Trust say that it changed, Ledger that an
	// action began or ended.
	Inventory, Enforcement, Trust, Ledger bool
	// Control says that something was paused, resumed or approved, or is to be
	// rotated or retried.
	Control bool
	// Partition says that the fleet is divided in another way.
	Partition bool
}

// Empty says that nothing was touched.
func (c Change) Empty() bool {
	return len(c.Nodes) == 0 && !c.Inventory && !c.Enforcement && !c.Trust && !c.Ledger && !c.Control && !c.Partition
}

// Fact is one message of the log as the fold sees it.
type Fact struct {
	Sequence uint64
	// At is when the log stored it.
	At time.Time
	// Event is nil when the message did not fit.
	Event *events.Event
}

// Fold applies many facts. It stops at the first gap.
func Fold(s *State, facts iter.Seq[Fact]) error {
	for f := range facts {
		if _, err := s.Apply(f.Sequence, f.At, f.Event); err != nil {
			return err
		}
	}
	return nil
}

// Apply folds the next message of the log. A nil event stands for a message
// that did not fit: it is counted. So is every event that counts for nothing.
// Neither is an error, for no message may stop the fold. The only error is
// ErrGap, when seq does not follow on the last one.
func (s *State) Apply(seq uint64, at time.Time, e *events.Event) (Change, error) {
	if err := s.advance(seq); err != nil {
		return Change{}, err
	}
	at = plainTime(at)
	if e == nil {
		s.unfit++
		s.planEnd = seq
		s.sharing.noPlan()
		return Change{}, nil
	}
	if at.After(s.at) {
		s.at = at
	}
	if changed, isFact := s.applyNodeFact(seq, at, e); isFact {
		s.planEnd = seq
		if !changed {
			s.ignore(e.Type)
			return Change{}, nil
		}
		return Change{Nodes: s.recent.add(seq, e.Node)}, nil
	}
	s.moveFence(seq, e)
	if !e.Type.IsAction() {
		s.planEnd = seq // a plan is one piece: whatever it announced has come or never will
		s.sharing.noPlan()
	}
	change, fits := s.apply(seq, at, e)
	switch {
	case !fits:
		s.unfit++
	case change.Empty() && (e.Type != events.TypePlanDecided || s.sharing.void):
		s.ignore(e.Type)
	}
	return change, nil
}

// plainTime is the same moment without a zone and without the clock of the
// process that read it: else equal moments would make unequal states.
func plainTime(t time.Time) time.Time { return t.Round(0).UTC() }

func (s *State) advance(seq uint64) error {
	if seq != s.sequence+1 {
		return fmt.Errorf("apply sequence %d after %d: %w", seq, s.sequence, ErrGap)
	}
	s.sequence = seq
	return nil
}

// moveFence notes the sequence on the event's subject, whether or not the
// event counts for anything: whoever appends there has to know.
func (s *State) moveFence(seq uint64, e *events.Event) {
	switch e.Type {
	case events.TypePlanDecided:
		s.movePlanFence(seq, e)
	case events.TypePartitionApplied:
		s.last.partition = seq
	case events.TypeEnforcementEnabled, events.TypeEnforcementDisabled:
		s.last.enforcement = seq
	case events.TypeInventoryApplied:
		s.last.inventory = seq
	case events.TypeTrustPublished, events.TypeTrustDelegated,
		events.TypeTrustRotationHeld, events.TypeTrustActivated, events.TypeTrustRetired:
		s.last.trust = seq
	case events.TypeNodeBundleReported, events.TypeNodeAppeared, events.TypeNodeLost, events.TypeNodeLeft, events.TypeNodeRemoved,
		events.TypeCredentialIssued, events.TypeCredentialProved, events.TypeCredentialExpired, events.TypeCredentialRevoked:
		_, c := s.open(e.Node)
		c.last = seq
	}
}

// apply says what the event changed, and whether type and data belong together.
func (s *State) apply(seq uint64, at time.Time, e *events.Event) (c Change, fits bool) {
	switch {
	case e.Type.IsAction():
		return s.applyAction(seq, at, e)
	case e.Type.IsOutcome():
		return s.applyOutcome(at, e)
	}
	switch e.Type {
	case events.TypeInventoryApplied:
		d, ok := data[events.InventoryApplied](e)
		return Change{Inventory: ok && s.applyInventory(seq, d)}, ok
	case events.TypeTrustPublished, events.TypeTrustDelegated, events.TypeTrustRotationRequested,
		events.TypeTrustRotationHeld, events.TypeTrustActivated, events.TypeTrustRetired:
		changed, fits := s.applyTrust(seq, at, e)
		return Change{Trust: changed}, fits
	case events.TypeEnforcementEnabled:
		d, ok := data[events.EnforcementEnabled](e)
		return Change{Enforcement: ok && s.enforce(Posture{Strict: true, Sequence: seq, Generation: d.Generation, Since: at}, d.Action)}, ok
	case events.TypeEnforcementDisabled:
		d, ok := data[events.EnforcementDisabled](e)
		return Change{Enforcement: ok && s.enforce(Posture{Sequence: seq, Generation: d.Generation, Since: at}, d.Action)}, ok
	case events.TypePlanDecided:
		d, ok := data[events.PlanDecided](e)
		if ok {
			s.applyPlan(seq, d)
		}
		return Change{}, ok
	case events.TypePartitionApplied:
		changed, fits := s.applyPartition(seq, at, e)
		return Change{Partition: changed}, fits
	case events.TypePlanApproved, events.TypeControlPaused, events.TypeControlResumed, events.TypeRotationRequested:
		changed, fits := s.applyControl(at, e)
		return Change{Control: changed}, fits
	case events.TypeRetryRequested:
		changed, fits := s.applyRetry(e)
		return Change{Control: changed}, fits
	case events.TypeMessageRefused:
		_, ok := data[events.MessageRefused](e)
		return Change{}, ok
	case events.TypeCheckpointSigned:
		_, ok := data[events.CheckpointSigned](e)
		return Change{}, ok
	}
	// A fact on a node that fits is none of those that come here.
	d, known := events.Describe(e.Type)
	return Change{}, known && d.Channel > events.ChannelAction
}

// data is the payload of e when it is a T, as the event's type demands.
func data[T any](e *events.Event) (*T, bool) {
	d, ok := any(e.Data).(*T)
	return d, ok && d != nil
}

// maxLeap is how far a counter may move at once. Whoever counts moves it by one;
// a leap to the end of the numbers would leave nobody a next one.
const maxLeap = 1 << 20

// applyInventory takes the newer generation only, so that a generation means
// one inventory for ever.
func (s *State) applyInventory(seq uint64, d *events.InventoryApplied) bool {
	if d.Generation <= s.inventory.Generation || d.Generation-s.inventory.Generation > maxLeap {
		return false
	}
	s.inventory = InventoryRef{Digest: d.Digest, Generation: d.Generation, Sequence: seq, Actor: d.Actor, Note: d.Note}
	s.ledger.forgetStrangers()
	s.ledger.forgetFuture(d.Generation)
	s.forgetApprovals()
	return true
}

// Posture is whether receivers refuse unsigned posts, and since when.
type Posture struct {
	Strict bool
	// Sequence of the fact that said so, the Generation it was decided for, and
	// when the log stored it. Zero: nothing was ever said, the fleet is permissive.
	Sequence, Generation uint64
	Since                time.Time
}

// Posture says since when the fleet is as strict as it is.
func (s *State) Posture() Posture { return s.posture }

func (s *State) enforce(p Posture, by fleet.ActionID) bool {
	if s.observed.state.StrictEnforced == p.Strict {
		return false
	}
	s.observed.state.StrictEnforced, s.enforcement, s.posture = p.Strict, by, p
	return true
}
