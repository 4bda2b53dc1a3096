package audit

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// proved has a proof verified against what was believed when the log stored it.
// That it answers the newest challenge, with its epoch and nonce, is a rule of
// pkg/history: without a challenge there is nothing to verify it by.
func (a *audit) proved(before *projection.State, r eventlog.Record) error {
	a.report.Proofs++
	n, known := before.Node(r.Event.Node)
	if !known || n.Issued == nil {
		return nil
	}
	text, err := a.take(n.Issued, r.Event.Node)
	if err != nil {
		return err
	}
	a.proofs.verify(statement{record: r, issued: n.Issued, certificate: text, beliefs: a.trust.at(r.Time)})
	return nil
}

// statement is a proof with what to verify it by. Nothing of it changes any more.
type statement struct {
	record      eventlog.Record
	issued      *projection.Credential
	certificate string
	beliefs     []belief
}

// proofs verifies statements beside the fold.
type proofs struct {
	todo    chan statement
	workers sync.WaitGroup
	memo    identity.Memo

	mu    sync.Mutex
	found []Difference
}

func newProofs() *proofs {
	workers := runtime.GOMAXPROCS(0)
	p := &proofs{todo: make(chan statement, 64*workers)}
	for range workers {
		p.workers.Go(p.work)
	}
	return p
}

func (p *proofs) verify(s statement) { p.todo <- s }

func (p *proofs) work() {
	for s := range p.todo {
		err := s.check(&p.memo)
		if err == nil {
			continue
		}
		p.mu.Lock()
		p.found = append(p.found, Difference{
			s.record.Sequence, WhatProof, "a proof by the key of the node's newest certificate, which held at that time", err.Error(),
		})
		p.mu.Unlock()
	}
}

// close waits for all of them and reports what was found.
func (p *proofs) close(r *Report) {
	close(p.todo)
	p.workers.Wait()
	inOrder(p.found)
	for _, d := range p.found {
		r.add(d)
	}
}

// check asks one belief after the other, and gives the answer of the newest.
func (s statement) check(memo *identity.Memo) (first error) {
	for _, b := range s.beliefs {
		err := s.checkBy(b, memo)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (s statement) checkBy(b belief, memo *identity.Memo) error {
	e, issued := s.record.Event, s.issued
	if b.regions == nil {
		return errors.New("no inventory in force that could be read, and so no trust domain")
	}
	if issued.Issuer != "" && !b.issuers[issued.Issuer] {
		return fmt.Errorf("its issuer %s is retired or was never published", issued.Issuer)
	}
	v := identity.Verification{Roots: b.roots, TrustDomain: b.trustDomain, Node: e.Node, Region: b.regions[e.Node], Memo: memo}
	v.Now = within(s.record.Time, issued.NotBefore, issued.NotAfter)
	leaf, err := v.Leaf([]byte(s.certificate))
	if err != nil {
		return err
	}
	if serial := identity.SerialOf(leaf); serial != issued.Serial {
		return fmt.Errorf("the certificate's serial is %s, and %s was said to be issued", serial, issued.Serial)
	}
	if key, err := identity.Fingerprint(leaf.PublicKey); err != nil || key != issued.KeyFingerprint {
		return fmt.Errorf("the certificate's key is %s, and %s was said to be issued", key, issued.KeyFingerprint)
	}
	if want := leaf.URIs[0].String(); e.Source != want {
		return fmt.Errorf("source is %q, the certificate names %q", e.Source, want)
	}
	return proof.VerifyEvent(e, leaf.PublicKey)
}

// within moves the time at which the log stored a proof into the window of the
// certificate, if it is off by less than clocks may be: whoever admitted the proof
// looked at another clock, and a moment earlier.
func within(at, notBefore, notAfter time.Time) time.Time {
	if at.After(notAfter) && at.Sub(notAfter) <= identity.SkewMargin {
		return notAfter
	}
	if at.Before(notBefore) && notBefore.Sub(at) <= identity.SkewMargin {
		return notBefore
	}
	return at
}
