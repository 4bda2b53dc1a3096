package projection

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// FromImage is the state that the image was taken of. An image that no fold can
// have led to is an error.
func FromImage(img Image) (*State, error) {
	var r Restorer
	if err := r.Begin(img); err != nil {
		return nil, err
	}
	for i := range img.IDs {
		if err := r.Add(&img.IDs[i]); err != nil {
			return nil, err
		}
	}
	return r.State(), nil
}

// Restorer puts a state together again whose ids come one by one: Begin, then Add
// for each, then State.
type Restorer struct {
	state *State
	end   uint64 // of the log
	added int
	// last is the id that was added last, if it is not observed, and began when
	// the one was that is observed.
	last  fleet.NodeID
	lives bool
	began uint64
}

// Begin takes all of an image but its IDs, which are not looked at: they are to be
// added, in their order.
func (r *Restorer) Begin(img Image) error {
	s := New()
	s.sequence, s.recent.from = img.Sequence, img.Sequence
	for _, restore := range []func(*Image) error{s.restoreFleet, s.restoreTrust, s.restoreControl, s.restoreFlights, s.restoreSharing} {
		if err := restore(&img); err != nil {
			return fmt.Errorf("restore state from image: %w", err)
		}
	}
	*r = Restorer{state: s, end: img.Sequence}
	return nil
}

// Add adds the next id.
func (r *Restorer) Add(i *IDImage) error {
	if err := r.add(i); err != nil {
		return fmt.Errorf("restore state from image: id %q: %w", i.ID, err)
	}
	r.last, r.lives = i.ID, i.Node != nil
	r.added++
	return nil
}

// State is what was put together. The Restorer is of no more use.
func (r *Restorer) State() *State { return r.state }

func (r *Restorer) add(i *IDImage) error {
	if err := i.check(r.end); err != nil {
		return err
	}
	if r.added > 0 && !i.follows(r.last, r.lives) {
		return errors.New("it is out of order")
	}
	s := r.state
	if i.Epoch == 0 {
		if s.ids.find(i.ID) >= 0 {
			return errors.New("it is doubled")
		}
		for _, need := range i.Attempts {
			s.ledger.strangers[fleet.Action{Type: need.Type, ID: i.ID}] = need.Attempts
		}
		return nil
	}
	if i.Node != nil {
		if i.Node.Began <= r.began && r.added > 0 {
			return errors.New("it began to be observed before the one in front of it")
		}
		r.began = i.Node.Began
	}
	known := s.ids.len
	n, c := s.open(i.ID)
	if n < known {
		return errors.New("it is doubled")
	}
	s.ids.restore(c, i)
	s.observed.move(n, 0, c)
	s.ledger.take(c, i.Attempts)
	return nil
}

// restore fills the cell of an id that was never heard of.
func (c *cells) restore(of *cell, i *IDImage) {
	of.epoch, of.last = i.Epoch, i.Last
	if !i.RemovedAt.IsZero() || len(i.Losses) > 0 {
		b := c.besides(of)
		b.removedAt, b.losses = i.RemovedAt, slices.Clone(i.Losses)
	}
	n := i.Node
	if n == nil {
		return
	}
	key, session := fingerprintOf(n.KeyFingerprint), sessionOf(n.Session)
	c.name(of, &key, n.KeyFingerprint, &session, n.Session)
	c.report(of, n.Bundle)
	of.has, of.began = hasNode, n.Began
	of.set(isPresent, n.Present)
	of.set(isLost, n.Lost)
	if n.Proved != nil {
		of.held = c.shorten(of, n.Proved)
		of.set(hasProved, true)
	}
	switch {
	case n.Issued != nil && n.Proved != nil && *n.Issued == *n.Proved:
		of.set(hasIssued, true)
	case n.Issued != nil:
		c.give(of, c.shorten(of, n.Issued))
	}
	c.proveAt(of, n.ProvedAt)
	c.restoreEarlier(of, i.Earlier)
}

func (c *cells) restoreEarlier(of *cell, list []EarlierImage) {
	if len(list) == 0 {
		return
	}
	b := c.besides(of)
	for i := range list {
		e := &list[i]
		k := c.shorten(of, &Credential{Serial: e.Serial, Issuer: e.Issuer, KeyFingerprint: e.KeyFingerprint, NotAfter: e.NotAfter})
		b.earlier = append(b.earlier, k.certificate())
	}
	b.survey()
}

func (s *State) restoreFleet(img *Image) error {
	s.observed.state.StrictEnforced, s.enforcement = img.StrictEnforced, img.Enforcement
	s.inventory = img.Inventory
	s.safeguards, s.policy = img.Safeguards, img.Policy
	s.last = fences{plan: img.LastPlan, enforcement: img.LastEnforcement, inventory: img.LastInventory, trust: img.LastTrust}
	s.planEnd, s.unfit = img.PlanEnd, img.Unfit
	if newest := max(img.LastPlan, img.LastEnforcement, img.LastInventory, img.LastTrust, img.Inventory.Sequence); newest > img.Sequence {
		return fmt.Errorf("a subject ends at %d, after the log's %d", newest, img.Sequence)
	}
	if img.Unfit < 0 {
		return fmt.Errorf("%d messages did not fit", img.Unfit)
	}
	for i, n := range img.Ignored {
		if n.Count <= 0 || i > 0 && img.Ignored[i-1].Type >= n.Type {
			return fmt.Errorf("count of ignored %q is out of order or %d", n.Type, n.Count)
		}
		s.ignored[n.Type] = n.Count
	}
	return nil
}

func (s *State) restoreControl(img *Image) error {
	for _, p := range img.Pauses {
		if !p.Valid() {
			return fmt.Errorf("pause of %+v is of nothing", p.Target)
		}
		s.control.pauses[p.Target] = p
	}
	if !slices.Equal(s.Pauses(), img.Pauses) {
		return fmt.Errorf("%d pauses are out of order or doubled", len(img.Pauses))
	}
	for _, r := range img.Rotations {
		if !r.Valid() || r.Sequence == 0 || r.Sequence > img.Sequence {
			return fmt.Errorf("rotation of %+v at %d is of nothing", r.Target, r.Sequence)
		}
		s.rotations[r.Target] = r
	}
	if !slices.Equal(s.Rotations(), img.Rotations) {
		return fmt.Errorf("%d rotations are out of order or doubled", len(img.Rotations))
	}
	for _, a := range img.Approvals {
		if _, known := s.Approved(a.ID); known {
			return fmt.Errorf("approval %q is doubled", a.ID)
		}
		s.control.approvals = append(s.control.approvals, a)
		s.control.approvedTo = max(s.control.approvedTo, a.Basis)
	}
	if s.control.approvedTo != img.ApprovedTo {
		return fmt.Errorf("approved to %d, but the approvals say %d", img.ApprovedTo, s.control.approvedTo)
	}
	return nil
}

// follows says that i may stand behind the other: the observed come first, and
// the others are sorted.
func (i *IDImage) follows(other fleet.NodeID, lives bool) bool {
	return lives || i.Node == nil && other < i.ID
}

func (i *IDImage) check(end uint64) error {
	switch {
	case i.Last > end:
		return fmt.Errorf("its subject ends at %d, after the log's %d", i.Last, end)
	case i.Epoch == 0 && (i.Last != 0 || !i.RemovedAt.IsZero() || len(i.Losses) > 0 || i.Node != nil || len(i.Attempts) == 0):
		return errors.New("something is known of an id that was never heard of")
	case len(i.Losses) > maxLosses:
		return fmt.Errorf("%d losses are remembered, at most %d can be", len(i.Losses), maxLosses)
	case i.Node == nil && len(i.Losses)+len(i.Earlier) > 0:
		return errors.New("it has losses or certificates and no node")
	case len(i.Earlier) > maxEarlier:
		return fmt.Errorf("%d earlier certificates are remembered, at most %d can be", len(i.Earlier), maxEarlier)
	}
	if n := i.Node; n != nil {
		if n.ID != i.ID || n.ID == "" || n.Epoch != i.Epoch || n.Last != 0 || n.Began > end {
			return fmt.Errorf("its node is %q, epoch %d, from %d on", n.ID, n.Epoch, n.Began)
		}
		for _, k := range [...]*Credential{n.Issued, n.Proved} {
			if k != nil && k.Epoch != n.Epoch {
				return fmt.Errorf("it has a credential of epoch %d in its epoch %d", k.Epoch, n.Epoch)
			}
		}
		if n.Lost && (n.Present || len(i.Losses) == 0) {
			return errors.New("it is lost, and yet was never lost or is present")
		}
	}
	for at, need := range i.Attempts {
		if !plausible(fleet.Action{Type: need.Type, ID: i.ID}) || at > 0 && i.Attempts[at-1].Type.Phase() >= need.Type.Phase() {
			return fmt.Errorf("attempts of %q are out of order or not its own", need.Type)
		}
	}
	return nil
}

// plausible says that the action is of a known type and names a node exactly
// when it must.
func plausible(a fleet.Action) bool {
	return a.Type.Phase() > 0 && a.Type.ConcernsNode() == (a.ID != "")
}

func (s *State) restoreFlights(img *Image) error {
	for i, f := range img.Flights {
		switch {
		case f.Sequence > img.Sequence || i > 0 && img.Flights[i-1].Sequence >= f.Sequence:
			return fmt.Errorf("action %q is out of order at %d", f.ID, f.Sequence)
		case !plausible(f.Action) || s.ledger.byID[f.ID] != nil:
			return fmt.Errorf("action %q is doubled or none", f.ID)
		}
		s.ledger.fly(f)
	}
	return nil
}
