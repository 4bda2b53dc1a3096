package receiver

import (
	"crypto/x509"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Log is a Source for services that may read the log: it follows a view of it. It
// knows more than the trust stream says: which nodes the fleet has, and when an
// earlier life of one ended.
type Log struct {
	view   *view.View
	domain string

	mu sync.Mutex
	// flip is the newest one that passed by. A view that began with a snapshot has
	// seen none before it.
	flip eventlog.Posture
	made *Trust
	// trust is the sequence of the roots in made.
	trust uint64
}

// FromView returns a Source of one trust domain. It must be called before v runs.
func FromView(v *view.View, trustDomain string) *Log {
	l := &Log{view: v, domain: trustDomain}
	v.OnRecord(l.record)
	return l
}

// Trust implements Source. While the view has not caught up, nothing is known: an
// old state could call a strict fleet permissive.
func (l *Log) Trust() *Trust {
	now := &Trust{Known: l.view.CaughtUp(), TrustDomain: l.domain, Revoked: l.revoked}
	var trust uint64
	l.view.Read(func(s *projection.State) {
		now.Posture = eventlog.Posture{Strict: s.StrictEnforced(), Sequence: s.LastEnforcement()}
		now.Roots, trust = s.Trust(), s.LastTrust()
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flip.Sequence == now.Posture.Sequence {
		now.Posture = l.flip
	}
	if old := l.made; old != nil {
		if old.Posture.Sequence > now.Posture.Sequence || old.Known && !now.Known {
			return old // another goroutine has read on meanwhile
		}
		if old.Known == now.Known && old.Posture == now.Posture && l.trust == trust {
			return old
		}
	}
	l.made, l.trust = now, trust
	return now
}

// record keeps what a state does not say of a flip: for which inventory it was, and
// when.
func (l *Log) record(r eventlog.Record, change projection.Change) {
	if r.Event == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	flip := eventlog.Posture{Sequence: r.Sequence, Since: r.Time}
	switch d := r.Event.Data.(type) {
	case *events.EnforcementEnabled:
		flip.Strict, flip.Generation = true, d.Generation
	case *events.EnforcementDisabled:
		flip.Generation = d.Generation
	default:
		return
	}
	if !change.Enforcement && l.flip.Sequence != 0 { // said again: it has held since before
		flip.Since = l.flip.Since
	}
	l.flip = flip
}

// revoked says that the node is not in the fleet, or that the credential was
// issued in an earlier life of it.
func (l *Log) revoked(id fleet.NodeID, leaf *x509.Certificate) (gone bool) {
	l.view.Read(func(s *projection.State) {
		_, observed := s.Node(id)
		ended := s.RemovedAt(id)
		gone = !observed || !ended.IsZero() && leaf.NotBefore.Add(identity.SkewMargin).Before(ended)
	})
	return gone
}
