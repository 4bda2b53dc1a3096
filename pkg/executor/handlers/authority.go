package handlers

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// authority lends the root issuer once its certificate is on the log.
type authority struct {
	Config
	// turn holds a token while nobody uses the fields below. The log is asked
	// meanwhile, and who waits for that must hear of its own end.
	turn   chan struct{}
	domain string
	ca     *identity.CA
}

func newAuthority(c Config) *authority {
	a := &authority{Config: c, turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
}

// prepare publishes trust at the start, if it is known by then which.
func (a *authority) prepare(ctx context.Context) error {
	if err := a.View.CatchUp(ctx); err != nil {
		return fmt.Errorf("fold to the end of the log: %w", err)
	}
	var digest string
	a.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
	if digest == "" {
		return nil
	}
	inventory, err := a.Inventories.Get(ctx, digest)
	if err != nil && ctx.Err() == nil {
		// It may be that nobody can ever read it. Then another one is needed, and
		// to end here, again and again, would bring it no sooner.
		a.Logger.Error().Err(err).Str(field.Digest, digest).Msg("cannot read the inventory in force, the root issuer waits for another")
		return nil
	}
	if err != nil {
		return fmt.Errorf("get inventory %s: %w", digest, err)
	}
	_, err = a.issuer(ctx, inventory.TrustDomain)
	return err
}

func (a *authority) issuer(ctx context.Context, domain string) (*identity.CA, error) {
	select {
	case <-a.turn:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the root issuer: %w", ctx.Err())
	}
	defer func() { a.turn <- struct{}{} }()
	if a.ca != nil && a.domain == domain {
		return a.ca, nil
	}
	ca, _, err := identity.LoadOrCreateCA(a.CADir, domain, a.Now())
	if err != nil {
		return nil, err
	}
	if err := a.publish(ctx, domain, string(ca.CertificatePEM())); err != nil {
		return nil, fmt.Errorf("publish root certificate: %w", err)
	}
	a.domain, a.ca = domain, ca
	return ca, nil
}

// publish appends the certificate unless the fold has it. A lost race means
// that somebody else published, perhaps this very certificate.
func (a *authority) publish(ctx context.Context, domain, certificate string) error {
	fact, err := a.trust(domain, certificate)
	if err != nil {
		return err
	}
	for {
		var have bool
		var last uint64
		a.View.Read(func(s *projection.State) {
			last = s.LastTrust()
			for _, root := range s.Trust() {
				have = have || string(root) == certificate
			}
		})
		if have {
			return nil
		}
		_, err := a.Log.Append(ctx, eventlog.Entry{Event: fact, Fence: eventlog.LastOnSubject(last)})
		if err != nil && !errors.Is(err, eventlog.ErrConflict) {
			return err
		}
		if err := a.View.CatchUp(ctx); err != nil {
			return err
		}
	}
}

func (a *authority) trust(domain, certificate string) (*events.Event, error) {
	fingerprint, err := fingerprintOf(certificate)
	if err != nil {
		return nil, err
	}
	return &events.Event{
		ID: events.NewID(string(events.TypeTrustPublished), certificate), Source: events.SourceExecutor,
		Type: events.TypeTrustPublished, Time: a.Now(),
		Data: &events.TrustPublished{TrustDomain: domain, Fingerprint: fingerprint, CertificatePEM: certificate},
	}, nil
}

func fingerprintOf(certificate string) (string, error) {
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return "", errors.New("root certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("parse root certificate: %w", err)
	}
	return identity.Fingerprint(cert.PublicKey)
}

// bundle is all roots of the fold that can be read, one PEM text: one that
// cannot must not keep agents from taking their credentials.
func bundle(view executor.View) string {
	var text []byte
	view.Read(func(s *projection.State) {
		for _, root := range s.Trust() {
			if _, err := fingerprintOf(string(root)); err == nil {
				text = append(text, root...)
			}
		}
	})
	return string(text)
}

// nodeNow reads one node of the fold.
func nodeNow(view executor.View, id fleet.NodeID) (node projection.Node, signs bool, last uint64) {
	view.Read(func(s *projection.State) {
		node, _ = s.Node(id)
		signs, last = s.CanSign(id), s.LastNode(id)
	})
	return node, signs, last
}
