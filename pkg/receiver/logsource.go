package receiver

import (
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Inventories returns inventories by digest; *view.Inventories does.
type Inventories interface {
	Get(ctx context.Context, digest string) (*fleet.Inventory, error)
}

// LogConfig of a Log. View, Inventories and TrustDomain have no default.
type LogConfig struct {
	View        *view.View
	Inventories Inventories
	TrustDomain string
	// Now is the clock; nil is time.Now.
	Now    func() time.Time
	Logger zerolog.Logger
}

// Log is a Source for services that may read the log: it follows a view of it. It
// knows more than the trust stream says: which nodes the fleet has, and when an
// earlier life of one ended.
type Log struct {
	LogConfig

	mu   sync.Mutex
	made *Trust
	of   logMarks
	// regions is by node, of the inventory with that digest; nil: none is known yet.
	regions map[fleet.NodeID]string
	digest  string
}

// logMarks tell whether a Trust is still what the log says.
type logMarks struct {
	known                    bool
	posture, bundle, revoked uint64
	digest                   string
}

// FromView returns a Source of one trust domain.
func FromView(c LogConfig) *Log {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Log{LogConfig: c}
}

// Run reads the inventories, which say in which region a node is, until ctx ends.
// Until it has read the first, nobody can be checked whom a region's intermediate
// has signed for.
func (l *Log) Run(ctx context.Context) {
	for wait := firstWait; ctx.Err() == nil; {
		changed := l.View.Changed()
		again := time.NewTimer(longestWait)
		if err := l.readInventory(ctx); err != nil && ctx.Err() == nil {
			l.Logger.Warn().Err(err).Dur(field.Wait, wait).Msg("cannot read which regions nodes are in, trying again")
			again.Reset(wait)
			wait, changed = min(2*wait, longestWait), nil
		} else {
			wait = firstWait
		}
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

func (l *Log) readInventory(ctx context.Context) error {
	var digest string
	l.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
	l.mu.Lock()
	old := l.digest
	l.mu.Unlock()
	if digest == old {
		return nil
	}
	inv, err := l.Inventories.Get(ctx, digest)
	if err != nil {
		return err
	}
	regions := make(map[fleet.NodeID]string, inv.Len())
	for _, region := range inv.Regions {
		label := identity.RegionLabel(region.Name)
		for _, node := range region.Nodes {
			regions[node.ID] = label
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.regions, l.digest = regions, digest
	return nil
}

// Trust implements Source. While the view has not caught up, nothing is known: an
// old state could call a strict fleet permissive.
func (l *Log) Trust() *Trust {
	now, marks := &Trust{TrustDomain: l.TrustDomain, Revoked: l.revoked}, logMarks{known: l.View.CaughtUp()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.View.Read(func(s *projection.State) {
		p := s.Posture()
		now.Known, now.Posture = marks.known, eventlog.Posture{Strict: p.Strict, Sequence: p.Sequence, Generation: p.Generation, Since: p.Since}
		marks.posture, marks.bundle, marks.revoked, marks.digest = p.Sequence, s.LastBundle(), s.LastRevoked(), l.digest
		if l.made == nil || l.of != marks {
			now.Roots, now.revoked = s.Bundle(l.TrustDomain), serialsOf(s.Revoked())
		}
	})
	if l.made != nil && l.of == marks {
		return l.made
	}
	if l.regions != nil {
		now.Region = l.mayBe
	}
	l.made, l.of = now, marks
	return now
}

func serialsOf(revoked []projection.Revoked) map[string]bool {
	serials := make(map[string]bool, len(revoked))
	for _, r := range revoked {
		serials[r.Serial] = true
	}
	return serials
}

// mayBe says that the node is in the region with that label, or still signs with
// what it was given there before it was moved.
func (l *Log) mayBe(label string, id fleet.NodeID) (may bool) {
	l.mu.Lock()
	regions := l.regions
	l.mu.Unlock()
	if regions[id] == label {
		return true
	}
	l.View.Read(func(s *projection.State) {
		signers := s.SignersOf(id, l.Now().Add(-identity.SupersededAfter))
		for _, issuer := range s.Issuers() {
			may = may || issuer.Region != "" && identity.RegionLabel(issuer.Region) == label && slices.Contains(signers, issuer.Fingerprint)
		}
	})
	return may
}

// revoked says that the node is not in the fleet, that the log has revoked the
// credential, or that it was issued in an earlier life of the node.
func (l *Log) revoked(id fleet.NodeID, leaf *x509.Certificate) (reason fleet.Reason) {
	serial := identity.SerialOf(leaf)
	listed := l.Trust().revoked[serial]
	l.View.Read(func(s *projection.State) {
		_, observed := s.Node(id)
		ended := s.RemovedAt(id)
		switch {
		case listed, !observed, !ended.IsZero() && leaf.NotBefore.Add(identity.SkewMargin).Before(ended):
			reason = identity.CertificateRevoked
		case s.IsSuperseded(id, serial, l.Now().Add(-identity.SupersededAfter)):
			reason = identity.CertificateSuperseded
		}
	})
	return reason
}
