package authority

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// publishCRLs signs a list for each issuer whose key is in the folder.
func (p *Publisher) publishCRLs(ctx context.Context, a account, domain string) error {
	now := p.Issuers.Now()
	if p.done.revoked == a.revokedAt && p.done.issuers == list(a.issuers) && now.Before(p.done.signed.Add(crlLife/2)) && p.sameSuperseded(a.superseded) {
		return nil
	}
	var problems []error
	var all []byte
	for _, i := range a.issuers {
		if i.TrustDomain != domain {
			continue
		}
		ca := p.open(ctx, i)
		if ca == nil {
			continue
		}
		der, err := ca.CRL(listed(i.Fingerprint, a), crlNumber(a.revokedAt, now), now, now.Add(crlLife))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, identity.CRLPEM(der)...)
		problems = append(problems, p.publishCRL(ctx, i, der, crlNumber(a.revokedAt, now)))
	}
	err := errors.Join(append(problems, p.write("crl.pem", all))...)
	if err == nil {
		p.done.revoked, p.done.issuers, p.done.signed = a.revokedAt, list(a.issuers), now
		p.done.superseded = make(map[string]bool, len(a.superseded))
		for _, r := range a.superseded {
			p.done.superseded[r.Serial] = true
		}
	}
	if a.dropped > p.dropped {
		p.dropped = a.dropped
		p.Issuers.Logger.Warn().Int("dropped", a.dropped).Int("kept", projection.MaxRevoked).
			Msg("more certificates are revoked than a revocation list holds: those that end first are not listed")
	}
	return err
}

func (p *Publisher) publishCRL(ctx context.Context, i projection.Issuer, der []byte, number uint64) error {
	keyID := identity.KeyIDOf(i.Fingerprint)
	if i.Region == "" && i.Active {
		if err := p.write("crl.der", der); err != nil {
			return err
		}
	}
	return p.publish(ctx, eventlog.TrustText{Kind: eventlog.TrustCRL, KeyID: keyID, Version: number, Text: der}, "crl-"+keyID+".der")
}

// crlNumber grows with the log, and between two facts with time: a list that is
// signed again is a newer one.
func crlNumber(revoked uint64, now time.Time) uint64 {
	return revoked<<32 | uint64(now.Unix())&(1<<32-1)
}

// superseded is what nobody is to sign with any more. Those that end last are
// listed, so that a list fits into one message beside what was revoked.
func superseded(s *projection.State, now time.Time) []projection.Revoked {
	all := slices.DeleteFunc(s.Superseded(now.Add(-identity.SupersededAfter)), func(r projection.Revoked) bool { return r.NotAfter.Before(now) })
	slices.SortFunc(all, func(a, b projection.Revoked) int {
		return cmp.Or(b.NotAfter.Compare(a.NotAfter), cmp.Compare(a.Serial, b.Serial))
	})
	return all[:min(len(all), maxSuperseded)]
}

// maxSuperseded bounds the superseded on all lists.
const maxSuperseded = 10000

// sameSuperseded says that the lists need not be signed again for these. What has
// ended meanwhile may stay on them.
func (p *Publisher) sameSuperseded(now []projection.Revoked) bool {
	return !slices.ContainsFunc(now, func(r projection.Revoked) bool { return !p.done.superseded[r.Serial] })
}

func listed(issuer string, a account) (some []identity.Revoked) {
	for _, r := range a.revoked {
		if r.Issuer == issuer {
			some = append(some, identity.Revoked{Serial: r.Serial, At: r.At})
		}
	}
	for _, r := range a.superseded {
		if r.Issuer == issuer {
			some = append(some, identity.Revoked{Serial: r.Serial, At: r.At, Superseded: true})
		}
	}
	return some
}

// open is nil when another executor has the key: that one signs the list.
func (p *Publisher) open(ctx context.Context, i projection.Issuer) *identity.CA {
	if err := p.Issuers.takeTurn(ctx); err != nil {
		return nil
	}
	defer p.Issuers.giveTurn()
	ca, err := p.Issuers.open(i)
	if err == nil {
		return ca.CA
	}
	if !p.unopened[i.Fingerprint] {
		if p.unopened == nil {
			p.unopened = make(map[string]bool)
		}
		p.unopened[i.Fingerprint] = true
		p.Issuers.Logger.Warn().Err(err).Str(field.Fingerprint, i.Fingerprint).Msg("no revocation list of this issuer comes from this executor")
	}
	return nil
}
