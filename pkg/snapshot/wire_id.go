package snapshot

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func toID(i *projection.IDImage) wireID {
	w := wireID{ID: string(i.ID), Epoch: i.Epoch, Last: i.Last, RemovedAt: toTime(i.RemovedAt), Node: toNode(i.Node)}
	for _, at := range i.Losses {
		w.Losses = append(w.Losses, toTime(at))
	}
	for _, e := range i.Earlier {
		w.Earlier = append(w.Earlier, wireEarlier{Serial: e.Serial, Issuer: e.Issuer, KeyFingerprint: e.KeyFingerprint, NotAfter: toTime(e.NotAfter)})
	}
	if len(i.Attempts) > 0 {
		w.Attempts = make([]wireNeed, len(i.Attempts))
	}
	for n, a := range i.Attempts {
		w.Attempts[n] = wireNeed{
			Type: string(a.Type), Published: a.Published, Failures: a.Failures, LastOutcome: toTime(a.LastOutcome),
			LastRefused: a.LastRefused, LastError: a.LastError, Epoch: a.Epoch, Generation: a.Generation, Retry: a.Retry,
		}
	}
	return w
}

func (w *wireID) image() projection.IDImage {
	i := projection.IDImage{ID: fleet.NodeID(w.ID), Epoch: w.Epoch, Last: w.Last, RemovedAt: w.RemovedAt.time()}
	if w.Node != nil {
		i.Node = w.Node.node(i.ID, w.Epoch)
	}
	if len(w.Losses) > 0 {
		i.Losses = make([]time.Time, len(w.Losses))
	}
	for n, at := range w.Losses {
		i.Losses[n] = at.time()
	}
	for _, e := range w.Earlier {
		i.Earlier = append(i.Earlier, projection.EarlierImage{Serial: e.Serial, Issuer: e.Issuer, KeyFingerprint: e.KeyFingerprint, NotAfter: e.NotAfter.time()})
	}
	if len(w.Attempts) > 0 {
		i.Attempts = make([]projection.NeedImage, len(w.Attempts))
	}
	for n, a := range w.Attempts {
		i.Attempts[n] = projection.NeedImage{Type: actionType(a.Type), Attempts: projection.Attempts{
			Published: a.Published, Failures: a.Failures, LastOutcome: a.LastOutcome.time(),
			LastRefused: a.LastRefused, LastError: a.LastError, Epoch: a.Epoch, Generation: a.Generation, Retry: a.Retry,
		}}
	}
	return i
}

// actionType is the constant of that name, so that a million needs do not each
// hold a string of their own.
func actionType(name string) fleet.ActionType {
	for _, t := range fleet.ActionTypes {
		if string(t) == name {
			return t
		}
	}
	return fleet.ActionType(name)
}

func toNode(n *projection.Node) *wireNode {
	if n == nil {
		return nil
	}
	w := &wireNode{
		Present: n.Present, Lost: n.Lost, Began: n.Began, Session: n.Session, KeyFingerprint: n.KeyFingerprint,
		Issued: toCredential(n.Issued), ProvedAt: toTime(n.ProvedAt), Bundle: n.Bundle,
	}
	// By value: two that are equal make the same state, and so the same bytes.
	if n.Issued != nil && n.Proved != nil && *n.Issued == *n.Proved {
		w.ProvedIsIssued = true
	} else {
		w.Proved = toCredential(n.Proved)
	}
	return w
}

func (w *wireNode) node(id fleet.NodeID, epoch uint64) *projection.Node {
	n := &projection.Node{
		ID: id, Present: w.Present, Lost: w.Lost, Began: w.Began, Epoch: epoch, Session: w.Session, KeyFingerprint: w.KeyFingerprint,
		ProvedAt: w.ProvedAt.time(), Bundle: w.Bundle,
	}
	n.Issued = w.Issued.credential(n.KeyFingerprint)
	if w.ProvedIsIssued {
		n.Proved = n.Issued
	} else {
		n.Proved = w.Proved.credential(n.KeyFingerprint)
	}
	return n
}

func toCredential(c *projection.Credential) *wireCredential {
	if c == nil {
		return nil
	}
	return &wireCredential{
		Serial: c.Serial, Nonce: c.Nonce, KeyFingerprint: c.KeyFingerprint, Epoch: c.Epoch,
		NotBefore: toTime(c.NotBefore), NotAfter: toTime(c.NotAfter), Issuer: c.Issuer, CertificatePEM: c.CertificatePEM,
		IssuedAt: toTime(c.IssuedAt), Sequence: c.Sequence,
	}
}

// credential shares the text of the node's key where it is for that, which is
// nearly always.
func (w *wireCredential) credential(key string) *projection.Credential {
	if w == nil {
		return nil
	}
	if w.KeyFingerprint != key {
		key = w.KeyFingerprint
	}
	return &projection.Credential{
		Serial: w.Serial, Nonce: w.Nonce, KeyFingerprint: key, Epoch: w.Epoch,
		NotBefore: w.NotBefore.time(), NotAfter: w.NotAfter.time(), Issuer: w.Issuer, CertificatePEM: w.CertificatePEM,
		IssuedAt: w.IssuedAt.time(), Sequence: w.Sequence,
	}
}
