package projection

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

func (s *State) applyTrust(seq uint64, at time.Time, e *events.Event) (changed, fits bool) {
	switch e.Type {
	case events.TypeTrustPublished:
		d, ok := data[events.TrustPublished](e)
		return ok && s.publishRoot(seq, d), ok
	case events.TypeTrustDelegated:
		d, ok := data[events.TrustDelegated](e)
		return ok && s.publishIntermediate(seq, d), ok
	case events.TypeTrustRotationRequested:
		d, ok := data[events.TrustRotationRequested](e)
		return ok && s.requestRotation(seq, at, d), ok
	case events.TypeTrustRotationHeld:
		d, ok := data[events.TrustRotationHeld](e)
		return ok && s.holdRotation(d), ok
	case events.TypeTrustActivated:
		d, ok := data[events.TrustActivated](e)
		return ok && s.activate(d), ok
	}
	d, ok := data[events.TrustRetired](e)
	return ok && s.retire(seq, at, d), ok
}

// publishRoot takes a certificate of a key that is known in place of the one
// before: what that key has signed chains to both.
func (s *State) publishRoot(seq uint64, d *events.TrustPublished) bool {
	t := &s.trust
	root := &Issuer{TrustDomain: d.TrustDomain, Fingerprint: d.Fingerprint, CertificatePEM: d.CertificatePEM, Published: seq}
	for _, have := range t.issuers {
		if have.Region != "" || have.TrustDomain != d.TrustDomain {
			continue
		}
		if have.CertificatePEM == d.CertificatePEM {
			return false
		}
		if d.Fingerprint != "" && have.Fingerprint == d.Fingerprint {
			have.CertificatePEM = d.CertificatePEM
			t.rebundle(seq, d.TrustDomain)
			return true
		}
	}
	_, exists := t.active(d.TrustDomain, "", "")
	root.Active = !exists
	t.issuers = append(t.issuers, root)
	t.rebundle(seq, d.TrustDomain)
	t.settle(events.RotationPrepare, d.TrustDomain, "")
	return true
}

func (s *State) publishIntermediate(seq uint64, d *events.TrustDelegated) bool {
	t := &s.trust
	parent := slices.IndexFunc(t.issuers, func(i *Issuer) bool {
		return i.Region == "" && i.TrustDomain == d.TrustDomain && i.Fingerprint == d.Issuer
	})
	known := slices.ContainsFunc(t.issuers, func(i *Issuer) bool { return i.Fingerprint == d.Fingerprint })
	if d.Region == "" || parent < 0 || known {
		return false
	}
	_, exists := t.active(d.TrustDomain, d.Region, d.Issuer)
	t.issuers = append(t.issuers, &Issuer{
		TrustDomain: d.TrustDomain, Region: d.Region, Fingerprint: d.Fingerprint, Parent: d.Issuer,
		Serial: d.Serial, NotAfter: plainTime(d.NotAfter), CertificatePEM: d.CertificatePEM, Active: !exists, Published: seq,
	})
	t.settle(events.RotationPrepare, d.TrustDomain, d.Region)
	return true
}

// requestRotation counts a request only if the step can be taken as things
// stand; it takes the place of an earlier one of the same region.
func (s *State) requestRotation(seq uint64, at time.Time, d *events.TrustRotationRequested) bool {
	_, prepared := s.Successor(d.TrustDomain, d.Region)
	possible := false
	switch d.Step {
	case events.RotationPrepare:
		possible = !prepared && len(s.trust.line(d.TrustDomain, d.Region)) > 0
	case events.RotationActivate:
		possible = prepared
	case events.RotationRetire:
		possible = len(s.Predecessors(d.TrustDomain, d.Region)) > 0
	}
	if !possible {
		return false
	}
	t := &s.trust
	t.rotations = slices.DeleteFunc(t.rotations, func(r IssuerStep) bool { return r.TrustDomain == d.TrustDomain && r.Region == d.Region })
	t.rotations = append(t.rotations, IssuerStep{
		Step: d.Step, TrustDomain: d.TrustDomain, Region: d.Region, Actor: d.Actor, Note: d.Note, Sequence: seq, At: at,
	})
	return true
}

func (s *State) holdRotation(d *events.TrustRotationHeld) bool {
	for i, r := range s.trust.rotations {
		if r.Step == d.Step && r.TrustDomain == d.TrustDomain && r.Region == d.Region && r.Held != d.Reason {
			s.trust.rotations[i].Held, s.trust.rotations[i].HeldDetail = d.Reason, d.Detail
			return true
		}
	}
	return false
}

func (s *State) activate(d *events.TrustActivated) bool {
	line := s.trust.line(d.TrustDomain, d.Region)
	at := slices.IndexFunc(line, func(i *Issuer) bool { return i.Fingerprint == d.Fingerprint })
	if at < 0 || line[at].Active {
		return false
	}
	for i := range line {
		line[i].Active = i == at
	}
	s.trust.settle(events.RotationActivate, d.TrustDomain, d.Region)
	if d.Region == "" {
		// What was wanted of intermediates was wanted of those under the root before.
		s.trust.rotations = slices.DeleteFunc(s.trust.rotations, func(r IssuerStep) bool { return r.TrustDomain == d.TrustDomain && r.Region != "" })
	}
	return true
}

// retire never ends the issuer that is active.
func (s *State) retire(seq uint64, at time.Time, d *events.TrustRetired) bool {
	t := &s.trust
	line := t.line(d.TrustDomain, d.Region)
	found := slices.IndexFunc(line, func(i *Issuer) bool { return i.Fingerprint == d.Fingerprint })
	if found < 0 || line[found].Active {
		return false
	}
	gone := line[found]
	t.issuers = slices.DeleteFunc(t.issuers, func(i *Issuer) bool { return i == gone || gone.Region == "" && i.Parent == gone.Fingerprint })
	if gone.Region == "" {
		t.rebundle(seq, d.TrustDomain)
	} else {
		s.revoked.add(seq, Revoked{Serial: gone.Serial, Issuer: gone.Parent, At: at, NotAfter: gone.NotAfter})
	}
	if len(s.Predecessors(d.TrustDomain, d.Region)) == 0 {
		t.settle(events.RotationRetire, d.TrustDomain, d.Region)
	}
	return true
}

// settle ends the request for a step that was taken.
func (t *trust) settle(step events.RotationStep, domain, region string) {
	t.rotations = slices.DeleteFunc(t.rotations, func(r IssuerStep) bool {
		return r.Step == step && r.TrustDomain == domain && r.Region == region
	})
}

// rebundle makes the list of roots anew, and the next version of the domain's bundle.
func (t *trust) rebundle(seq uint64, domain string) {
	t.roots = nil
	var now bundle
	for _, i := range t.issuers {
		if i.Region != "" {
			continue
		}
		t.roots = append(t.roots, []byte(i.CertificatePEM))
		if i.TrustDomain == domain {
			now.roots = append(now.roots, i.Fingerprint)
		}
	}
	now.digest = events.BundleDigest(t.rootsOf(domain)...)
	t.bundles = append(t.bundles, now)
	if n := len(t.bundles); n > maxBundles {
		t.bundles = slices.Clone(t.bundles[n-maxBundles:])
	}
	t.changed = seq
}
