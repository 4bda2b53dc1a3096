package receiver

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Sender is who sent a post that was taken.
type Sender struct {
	// Verified says that the holder of Node's credential sent it. Without it the
	// rest says nothing, and neither does the post's source.
	Verified bool
	Node     fleet.NodeID
	// ID is the node's SPIFFE ID.
	ID string
	// Doubt is why the post would be refused while strict, or what it was warned
	// of; empty for a post that is in order.
	Doubt fleet.Reason
}

// evidence is what a post says of its sender.
type evidence struct {
	post  *Post
	trust *Trust
	now   time.Time
	chain []*x509.Certificate
	pem   []byte
	node  fleet.NodeID
	// lapse is when the first certificate of the chain ends.
	lapse time.Time
}

// judge says who sent p, or why it is not taken. Errors are a *Refusal.
func (r *Receiver) judge(p *Post, t *Trust, audiences []string) (Sender, error) {
	if !t.Known {
		return Sender{}, refuse(PostureUnknown, "the posture of the fleet is not known yet, try again")
	}
	e := &evidence{post: p, trust: t, now: r.cfg.Now()}
	err := r.verify(e, audiences)
	reason := fleet.ReasonOf(err)
	sender := Sender{Verified: true, Node: e.node, ID: p.Source}
	switch {
	case err == nil:
	case reason == identity.CertificateExpired && t.Posture.Strict && r.forgives(e):
		sender.Doubt = CredentialLapsed
	case doubts[reason] && !t.Posture.Strict:
		return Sender{Doubt: reason}, nil
	default:
		return Sender{}, err
	}
	// The last check, so that only posts that would be taken are remembered.
	switch reason := r.seen.note(p.Source, p.ID, p.Time, e.now); reason {
	case "":
	case MemoryLost:
		return Sender{}, refuse(reason, "the receiver cannot tell yet whether this post came before, sign another and try again")
	default:
		return Sender{}, refuse(reason, "a post with this source and id was taken before, or one so old cannot be told from it")
	}
	return sender, nil
}

// forgives says whether the credential lapsed after the flip and not long ago.
// Everything else about it must be in order: that was checked at its end.
func (r *Receiver) forgives(e *evidence) bool {
	since := e.trust.Posture.Since
	return !since.IsZero() && e.lapse.After(since) && e.now.Sub(e.lapse) <= r.cfg.WarnWindow
}

// verify names what is wrong for certain before what an honest sender may have
// got wrong, so that a forged post is refused in any posture.
func (r *Receiver) verify(e *evidence, audiences []string) error {
	if len(e.post.Proof) == 0 {
		return refuse(Unsigned, "the post is not signed")
	}
	if err := e.signature(); err != nil {
		return err
	}
	lapsed, err := r.identify(e)
	for _, err := range []error{err, e.fresh(r.cfg.MaxAge, r.cfg.MaxSkew), e.meant(audiences)} {
		if err != nil {
			return err
		}
	}
	return lapsed
}

// signature checks that the holder of the chain's key signed what came.
func (e *evidence) signature() error {
	text := e.post.Extensions[ChainAttribute]
	if text == "" {
		return refuse(SenderUnknown, "the proof comes without attribute "+ChainAttribute)
	}
	var err error
	if e.pem, err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
		return refuse(identity.CertificateUnparsable, ChainAttribute+" is not base64 for URLs")
	}
	if e.chain, err = identity.ParseChain(e.pem); err != nil {
		return err
	}
	signed, err := identity.Verify(e.post.Proof, e.chain[0].PublicKey, e.post.core(), e.post.extension)
	if err != nil {
		return err
	}
	for _, name := range []string{ChainAttribute, AudienceAttribute} {
		if !slices.Contains(signed, name) {
			return refuse(ExtensionUnsigned, "the proof does not cover attribute "+name)
		}
	}
	// What nobody signed must not reach the application beside what was signed.
	for name := range e.post.Extensions {
		if !slices.Contains(signed, name) {
			delete(e.post.Extensions, name)
		}
	}
	return nil
}

// identify finds the node by the post's source and checks that the chain is its
// own. lapsed is CertificateExpired where that is all that is wrong.
func (r *Receiver) identify(e *evidence) (lapsed, err error) {
	t := e.trust
	if !t.anchored() {
		return nil, refuse(TrustUnknown, "no root is known to check signers by, try again")
	}
	if e.node, err = identity.NodeIDOf(t.TrustDomain, e.post.Source); err != nil {
		return nil, refuse(WrongSource, err.Error())
	}
	v := identity.Verification{Roots: t.Roots, TrustDomain: t.TrustDomain, Node: e.node, Now: e.now}
	_, lapsed = v.Leaf(e.pem)
	if fleet.ReasonOf(lapsed) == identity.CertificateExpired {
		e.lapse = e.end()
		v.Now = e.lapse
		_, err = v.Leaf(e.pem)
	} else {
		lapsed, err = nil, lapsed
	}
	if err != nil {
		return nil, err
	}
	if err := r.checkRevoked(e); err != nil {
		return nil, err
	}
	return lapsed, e.checkRegion()
}

func (e *evidence) end() time.Time {
	end := e.chain[0].NotAfter
	for _, cert := range e.chain[1:] {
		if cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}

func (r *Receiver) checkRevoked(e *evidence) error {
	lists, unread := e.trust.lists(e.chain)
	for _, keyID := range unread {
		r.lines.warn("crl_unreadable", func() {
			r.cfg.Logger.Warn().Str("issuer", keyID).Msg("revocation list is of no use")
		})
	}
	for _, list := range lists {
		if until := list.NextUpdate(); e.now.After(until) {
			r.lines.warn("crl_overdue", func() {
				r.cfg.Logger.Warn().Time("until", until).Msg("revocation list is overdue, what was revoked since is not known: see that an executor runs and that the bus is reached")
			})
		}
	}
	if err := identity.RefuseListed(lists, e.chain); err != nil {
		return err
	}
	if revoked := e.trust.Revoked; revoked != nil {
		if reason := revoked(e.node, e.chain[0]); reason != "" {
			return refuse(reason, fmt.Sprintf("the credential of node %q counts no more", e.node))
		}
	}
	return nil
}

// checkRegion wants the intermediate to be of the node's region: what one region's
// issuer signs for the nodes of others counts for nothing.
func (e *evidence) checkRegion() error {
	for _, cert := range e.chain[1:] {
		label := identity.RegionOf(cert)
		switch {
		case e.trust.Region == nil:
			return refuse(TrustUnknown, "it is not known yet which nodes the issuers of regions sign for, try again")
		case !e.trust.Region(label, e.node):
			return refuse(identity.IssuerRegion, fmt.Sprintf("the intermediate signs for region %q, where node %q is not", label, e.node))
		}
	}
	return nil
}

// fresh checks the time that the proof covers.
func (e *evidence) fresh(maxAge, maxSkew time.Duration) error {
	switch at := e.post.Time; {
	case at.IsZero():
		return refuse(Stale, "attribute time is missing")
	case e.now.Sub(at) > maxAge:
		return refuse(Stale, "the post is of "+at.Format(time.RFC3339)+", here it is "+e.now.UTC().Format(time.RFC3339))
	case at.Sub(e.now) > maxSkew:
		return refuse(FromFuture, "the post is of "+at.Format(time.RFC3339)+", here it is "+e.now.UTC().Format(time.RFC3339))
	}
	return nil
}

func (e *evidence) meant(audiences []string) error {
	audience := e.post.Extensions[AudienceAttribute]
	if audience == "" || !slices.Contains(audiences, audience) {
		return refuse(WrongAudience, fmt.Sprintf("the post is meant for %q", audience))
	}
	return nil
}

// asRefusal makes what another package says about a post a Refusal with a detail
// that can be shown.
func asRefusal(err error) *Refusal {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refuse(refusal.Reason, refusal.Detail)
	}
	return refuse(BadEvent, err.Error())
}
