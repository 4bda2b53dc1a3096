package audit

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// belief is what a proof is verified against.
type belief struct {
	roots       [][]byte
	trustDomain string
	regions     map[fleet.NodeID]string // of the inventory in force; nil: none, or none that can be read
	issuers     map[string]bool         // fingerprints of those that are not retired
}

// trusted is what is believed now, and what was until a moment ago: who admits a
// proof looks at the log as far as it has read it, and what comes on the log
// meanwhile keeps the proof from nothing.
type trusted struct {
	now    belief
	before []outdated // oldest first
}

type outdated struct {
	belief
	until time.Time
}

// admission is how long it may take from the look at the log to the proof on it.
const admission = time.Minute

func (t *trusted) change(at time.Time, now belief) {
	t.before = append(t.before, outdated{t.now, at})
	t.now = now
}

// at are the beliefs by which a proof may have been admitted that the log stored
// then, the newest first.
func (t *trusted) at(stored time.Time) []belief {
	t.before = slices.DeleteFunc(t.before, func(o outdated) bool { return stored.Sub(o.until) > admission })
	all := []belief{t.now}
	for _, o := range slices.Backward(t.before) {
		all = append(all, o.belief)
	}
	return all
}

// believed is what a fold tells.
func (a *audit) believed(st *projection.State) belief {
	b := belief{roots: st.Trust(), issuers: make(map[string]bool)}
	for _, i := range st.Issuers() {
		b.issuers[i.Fingerprint] = true
	}
	if st.Inventory().Digest == "" {
		return b
	}
	if inv, err := a.inventory(st.Inventory().Digest); err == nil {
		b.trustDomain, b.regions = inv.TrustDomain, make(map[fleet.NodeID]string)
		for _, region := range inv.Regions {
			for _, n := range region.Nodes {
				b.regions[n.ID] = region.Name
			}
		}
	} else if !a.missing[st.Inventory().Digest] {
		a.missing[st.Inventory().Digest] = true
		a.noInventory(st.Inventory().Sequence, st.Inventory().Digest, err)
	}
	return b
}

// published verifies a root's own signature.
func (a *audit) published(sequence uint64, d *events.TrustPublished) {
	cert, err := authorityCertificate(d.CertificatePEM, d.Fingerprint)
	if err == nil {
		err = cert.CheckSignatureFrom(cert)
	}
	if err != nil {
		a.differ(sequence, WhatTrust, "the certificate of root "+d.Fingerprint+", signed by itself", err.Error())
	}
}

// delegated verifies an intermediate by the root that it names.
func (a *audit) delegated(before *projection.State, sequence uint64, d *events.TrustDelegated) {
	cert, err := authorityCertificate(d.CertificatePEM, d.Fingerprint)
	if err == nil {
		err = signedBy(cert, before, d)
	}
	switch {
	case err != nil:
	case identity.SerialOf(cert) != d.Serial:
		err = fmt.Errorf("its serial is %s and not %s", identity.SerialOf(cert), d.Serial)
	case !cert.NotAfter.Equal(d.NotAfter):
		err = fmt.Errorf("it ends at %s and not at %s", cert.NotAfter.UTC().Format(time.RFC3339), d.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		a.differ(sequence, WhatTrust, fmt.Sprintf("the certificate of intermediate %s, signed by root %s", d.Fingerprint, d.Issuer), err.Error())
	}
}

func signedBy(cert *x509.Certificate, st *projection.State, d *events.TrustDelegated) error {
	for _, i := range st.Issuers() {
		if i.Region != "" || i.TrustDomain != d.TrustDomain || i.Fingerprint != d.Issuer {
			continue
		}
		root, err := authorityCertificate(i.CertificatePEM, i.Fingerprint)
		if err != nil {
			return err
		}
		return cert.CheckSignatureFrom(root)
	}
	return errors.New("no such root was published")
}

// authorityCertificate reads a CA's certificate and checks whose key it has.
func authorityCertificate(text, fingerprint string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, errors.New("what is not one certificate as PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	have, err := identity.Fingerprint(cert.PublicKey)
	if err != nil {
		return nil, err
	}
	if have != fingerprint {
		return nil, fmt.Errorf("a certificate of key %s", have)
	}
	if !cert.IsCA {
		return nil, errors.New("a certificate that may not sign others")
	}
	return cert, nil
}

// activated holds the fact against the gate that it stands behind.
func (a *audit) activated(before *projection.State, sequence uint64, d *events.TrustActivated) {
	inv := a.inForce(before)
	issuer, known := issuerOf(before, d.Fingerprint)
	if inv == nil || !known {
		return
	}
	root := issuer.Fingerprint
	if issuer.Parent != "" {
		root = issuer.Parent
	}
	if without := before.WithoutRoot(inv, root); len(without) > 0 {
		a.differ(sequence, WhatTrust, "every desired node with a bundle that has root "+root, some(without)+" without")
	}
}

func (a *audit) retired(before *projection.State, sequence uint64, d *events.TrustRetired) {
	inv := a.inForce(before)
	if inv == nil {
		return
	}
	if under := before.SigningUnder(inv, d.Fingerprint); len(under) > 0 {
		a.differ(sequence, WhatTrust, "no desired node that signs with what "+d.Fingerprint+" issued", some(under)+" that do")
	}
}

// inForce is the inventory in force; nil where there is none that can be read.
func (a *audit) inForce(st *projection.State) *fleet.Inventory {
	if st.Inventory().Digest == "" {
		return nil
	}
	inv, err := a.inventory(st.Inventory().Digest)
	if err != nil {
		return nil // reported where it was applied
	}
	return inv
}

func issuerOf(st *projection.State, fingerprint string) (projection.Issuer, bool) {
	all := st.Issuers()
	at := slices.IndexFunc(all, func(i projection.Issuer) bool { return i.Fingerprint == fingerprint })
	if at < 0 {
		return projection.Issuer{}, false
	}
	return all[at], true
}

func some(ids []fleet.NodeID) string {
	return fmt.Sprintf("%d nodes, the first of them %s,", len(ids), ids[0])
}
