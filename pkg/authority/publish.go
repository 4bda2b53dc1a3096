package authority

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

const (
	// crlLife is how long a revocation list may be used; it is signed again when
	// half of that has passed.
	crlLife = 24 * time.Hour
	// bundleRefresh is how often readers of the bundle are to look again.
	bundleRefresh = 5 * time.Minute
	// supersededEvery is how often superseded certificates are looked for: each time
	// there are others, the lists are signed again.
	supersededEvery = time.Minute
	// publishAgain is the pause after something could not be published.
	publishAgain = time.Second
)

// Bus takes what is published; eventlog.Bus is one.
type Bus interface {
	PublishTrust(ctx context.Context, t eventlog.TrustText) (published bool, err error)
}

// Publisher tells those who may not read the log what they need of it. Several
// may run at once: they publish the same, and an older one nothing.
type Publisher struct {
	Issuers *Issuers
	Bus     Bus
	// Dir also takes what is published, as files for others; empty: none.
	Dir string

	done    published
	regions regions
	// unopened are the issuers whose lack of a key was logged.
	unopened map[string]bool
	dropped  int
}

// published is what was published last.
type published struct {
	any                      bool
	bundle, posture, revoked uint64
	issuers                  string
	signed                   time.Time // the revocation lists
	// superseded are the serials on the lists that were superseded; looked is when
	// they were looked for.
	superseded map[string]bool
	looked     time.Time
}

// account is what the log says at one moment.
type account struct {
	digest  string // of the inventory in force
	posture projection.Posture
	issuers []projection.Issuer
	revoked []projection.Revoked
	// superseded are not revoked, and nobody's to use any more; nil: not looked for.
	superseded []projection.Revoked
	dropped    int
	regions    bool // they may be others
	// bundleVersion and revokedAt are sequences of the log.
	bundleVersion, revokedAt uint64
}

// Run publishes at once and at each change, until ctx ends or the view has
// stopped. What cannot be published is tried again.
func (p *Publisher) Run(ctx context.Context, v Watch) error {
	for {
		changed := v.Changed()
		if err := v.Err(); errors.Is(err, view.ErrStopped) {
			return nil // it ends with the context of both
		} else if err != nil {
			return err
		}
		wait := p.untilDue()
		if err := p.Publish(ctx); err != nil && ctx.Err() == nil {
			p.Issuers.Logger.Warn().Err(err).Msg("could not publish trust, trying again")
			pause(ctx, publishAgain, nil)
			continue
		} else if err == nil {
			wait = p.untilDue()
		}
		pause(ctx, wait, changed)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// untilDue is when something is due that no fact tells of: the lists are to be
// signed again, or time has made certificates superseded or nodes settled.
func (p *Publisher) untilDue() time.Duration {
	next := p.done.signed.Add(crlLife / 2)
	if again := p.done.looked.Add(supersededEvery); again.Before(next) {
		next = again
	}
	if again := p.regions.looked.Add(straysEvery); len(p.regions.strays) > 0 && again.Before(next) {
		next = again
	}
	return max(next.Sub(p.Issuers.Now()), time.Second)
}

// Publish publishes what has changed since it was called last. The posture goes
// first: it has to be prompt. Then the bundle: it is small, and nobody can check
// anybody without.
func (p *Publisher) Publish(ctx context.Context) error {
	a, fresh := p.account()
	if !fresh {
		return nil
	}
	err := p.publishPosture(ctx, a)
	inv, problem := p.inventory(ctx, a.digest)
	if problem != nil || inv == nil {
		return errors.Join(err, problem)
	}
	err = errors.Join(err, p.publishBundle(ctx, a, inv.TrustDomain))
	if a.regions {
		err = errors.Join(err, p.publishRegions(ctx, a.digest, inv))
	}
	return errors.Join(err, p.publishCRLs(ctx, a, inv.TrustDomain))
}

func (p *Publisher) account() (a account, fresh bool) {
	now := p.Issuers.Now()
	due, look := !now.Before(p.done.signed.Add(crlLife/2)), !now.Before(p.done.looked.Add(supersededEvery))
	if due {
		p.regions = regions{} // what stands there is compared again, too
	}
	p.Issuers.View.Read(func(s *projection.State) {
		a.posture, a.digest = s.Posture(), s.Inventory().Digest
		a.bundleVersion = max(s.LastBundle(), s.Inventory().Sequence)
		a.revokedAt, a.dropped = s.LastRevoked(), s.RevokedDropped()
		a.issuers = s.Issuers()
		a.regions = p.regions.due(s, now)
		fresh = due || a.regions || !p.done.any || p.done.posture != a.posture.Sequence || p.done.bundle != a.bundleVersion ||
			p.done.revoked != a.revokedAt || p.done.issuers != list(a.issuers)
		if fresh || look {
			a.superseded = superseded(s, now)
			fresh = fresh || !p.sameSuperseded(a.superseded)
			p.done.looked = now
		}
		if fresh {
			a.revoked = s.Revoked()
		}
	})
	return a, fresh
}

func list(issuers []projection.Issuer) (names string) {
	for _, i := range issuers {
		names += i.Fingerprint + " "
	}
	return names
}

func (p *Publisher) inventory(ctx context.Context, digest string) (*fleet.Inventory, error) {
	if digest == "" {
		return nil, nil
	}
	inv, err := p.Issuers.Inventories.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory %s: %w", digest, err)
	}
	return inv, nil
}

func (p *Publisher) publishPosture(ctx context.Context, a account) error {
	if p.done.any && p.done.posture == a.posture.Sequence {
		return nil
	}
	text, err := json.Marshal(eventlog.Posture{
		Strict: a.posture.Strict, Sequence: a.posture.Sequence, Generation: a.posture.Generation, Since: a.posture.Since.UTC(),
	})
	if err != nil {
		return fmt.Errorf("encode posture: %w", err)
	}
	err = p.publish(ctx, eventlog.TrustText{Kind: eventlog.TrustPosture, Version: a.posture.Sequence, Text: text}, "posture.json")
	if err == nil {
		p.done.any, p.done.posture = true, a.posture.Sequence
	}
	return err
}

func (p *Publisher) publishBundle(ctx context.Context, a account, domain string) error {
	if p.done.bundle == a.bundleVersion {
		return nil
	}
	var roots [][]byte
	for _, i := range a.issuers {
		if i.Region == "" && i.TrustDomain == domain && readable(i.CertificatePEM) {
			roots = append(roots, []byte(i.CertificatePEM))
		}
	}
	if len(roots) == 0 {
		return nil // the first root is on its way
	}
	bundle, err := identity.SPIFFEBundle(domain, roots, a.bundleVersion, bundleRefresh)
	if err != nil {
		return err
	}
	err = p.publish(ctx, eventlog.TrustText{Kind: eventlog.TrustBundle, Version: a.bundleVersion, Text: bundle}, "bundle.json")
	if err == nil {
		err = p.write("bundle.pem", bytes.Join(roots, nil))
	}
	if err == nil {
		p.done.bundle = a.bundleVersion
	}
	return err
}

func (p *Publisher) publish(ctx context.Context, t eventlog.TrustText, file string) error {
	published, err := p.Bus.PublishTrust(ctx, t)
	if err != nil {
		return err
	}
	if published {
		p.Issuers.Logger.Debug().Str(field.Kind, string(t.Kind)).Uint64(field.Version, t.Version).Msg("trust published")
	}
	return p.write(file, t.Text)
}
