package projection

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// maxBundles is how many versions of the bundle are remembered: a node that
// reports an older one counts as knowing no root.
const maxBundles = 32

// Issuer is a root, or the intermediate of a region, that has not been retired.
type Issuer struct {
	TrustDomain string
	// Region that an intermediate signs for; empty for a root.
	Region string
	// Fingerprint of its public key; Parent that of an intermediate's root.
	Fingerprint, Parent string
	// Serial and NotAfter of an intermediate's certificate; zero for a root.
	Serial         string
	NotAfter       time.Time
	CertificatePEM string
	// Active says that it issues; at most one of a region under one root does.
	Active bool
	// Published is the sequence at which the log first told of it.
	Published uint64
}

// IssuerStep is a step that a person has requested and nobody has taken yet.
type IssuerStep struct {
	Step                events.RotationStep
	TrustDomain, Region string
	Actor, Note         string
	// Sequence of the request and when the log stored it.
	Sequence uint64
	At       time.Time
	// Held is why it was last said to wait, in a word and in words; empty: nobody
	// said so.
	Held       fleet.Reason
	HeldDetail string
}

// trust is the issuers and what is under way with them.
type trust struct {
	issuers []*Issuer // in the order published
	// roots is made anew at each change, because it is lent.
	roots     [][]byte
	bundles   []bundle // the newest one last
	rotations []IssuerStep
	changed   uint64
}

// bundle is a version of a trust domain's bundle.
type bundle struct {
	digest string
	roots  []string // fingerprints
}

// Trust is the roots of the trust bundle, each as PEM, in the order published.
// The caller must not change them.
func (s *State) Trust() [][]byte { return s.trust.roots[:len(s.trust.roots):len(s.trust.roots)] }

// Bundle is the roots of one trust domain, as Trust has those of all.
func (s *State) Bundle(trustDomain string) [][]byte { return s.trust.rootsOf(trustDomain) }

// LastBundle is the sequence at which the roots changed last; 0: never.
func (s *State) LastBundle() uint64 { return s.trust.changed }

// Issuers lists roots and intermediates in the order published.
func (s *State) Issuers() []Issuer {
	var all []Issuer
	for _, have := range s.trust.issuers {
		all = append(all, *have)
	}
	return all
}

// KnowsIssuer says that an issuer with that fingerprint was published and is not retired.
func (s *State) KnowsIssuer(fingerprint string) bool {
	return slices.ContainsFunc(s.trust.issuers, func(i *Issuer) bool { return i.Fingerprint == fingerprint })
}

// Root is the root that issues in a trust domain.
func (s *State) Root(trustDomain string) (Issuer, bool) {
	return s.trust.active(trustDomain, "", "")
}

// Intermediate is the one that issues for a region under a root.
func (s *State) Intermediate(trustDomain, region, root string) (Issuer, bool) {
	return s.trust.active(trustDomain, region, root)
}

// Successor is the newest issuer after the active one of the region, or of the
// root for an empty region: it was prepared and not activated yet.
func (s *State) Successor(trustDomain, region string) (Issuer, bool) {
	line := s.trust.line(trustDomain, region)
	if len(line) == 0 || line[len(line)-1].Active {
		return Issuer{}, false
	}
	return *line[len(line)-1], true
}

// Predecessors are the issuers before the active one, which was activated in
// their place, and which are not retired.
func (s *State) Predecessors(trustDomain, region string) []Issuer {
	var before []Issuer
	for _, i := range s.trust.line(trustDomain, region) {
		if i.Active {
			return before
		}
		before = append(before, *i)
	}
	return nil
}

// IssuerSteps are the requested steps that wait to be taken, by the age of the request.
func (s *State) IssuerSteps() []IssuerStep { return append([]IssuerStep(nil), s.trust.rotations...) }

// WithoutRoot lists the desired nodes that have not reported a trust bundle with
// that root, in inventory order.
func (s *State) WithoutRoot(inv *fleet.Inventory, root string) []fleet.NodeID {
	knowing := make(map[string]bool)
	for _, b := range s.trust.bundles {
		if b.digest != "" && slices.Contains(b.roots, root) {
			knowing[b.digest] = true
		}
	}
	var without []fleet.NodeID
	for n := range inv.Nodes() {
		if c := s.ids.get(n.ID); !c.observed() || !knowing[s.ids.bundleOf(c)] {
			without = append(without, n.ID)
		}
	}
	return without
}

// SigningUnder lists the desired nodes whose proved credential was issued by
// that issuer, or by an intermediate of that root, in inventory order.
func (s *State) SigningUnder(inv *fleet.Inventory, issuer string) []fleet.NodeID {
	under := map[string]bool{issuer: true}
	for _, i := range s.trust.issuers {
		if i.Parent == issuer {
			under[i.Fingerprint] = true
		}
	}
	var signing []fleet.NodeID
	for n := range inv.Nodes() {
		if c := s.ids.get(n.ID); c.signs() && under[s.ids.issuerOf(s.ids.proved(c))] {
			signing = append(signing, n.ID)
		}
	}
	return signing
}

func (t *trust) rootsOf(domain string) (roots [][]byte) {
	for _, i := range t.issuers {
		if i.Region == "" && i.TrustDomain == domain {
			roots = append(roots, []byte(i.CertificatePEM))
		}
	}
	return roots
}

// active is the one that issues: a root for an empty region.
func (t *trust) active(domain, region, parent string) (Issuer, bool) {
	for _, i := range t.issuers {
		if i.Active && i.TrustDomain == domain && i.Region == region && i.Parent == parent {
			return *i, true
		}
	}
	return Issuer{}, false
}

// line is one issuer and its predecessors and successors: of the root, or of a
// region's intermediate under the active root.
func (t *trust) line(domain, region string) []*Issuer {
	parent := ""
	if region != "" {
		root, ok := t.active(domain, "", "")
		if !ok {
			return nil
		}
		parent = root.Fingerprint
	}
	var line []*Issuer
	for _, i := range t.issuers {
		if i.TrustDomain == domain && i.Region == region && i.Parent == parent {
			line = append(line, i)
		}
	}
	return line
}
