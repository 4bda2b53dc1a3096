package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Files of the trust bundle in an agent's folder.
const (
	// BundleFile is the newest bundle as it was published, in the SPIFFE format.
	BundleFile = "bundle.json"
	// BundlePEMFile has the same roots as PEM, for other programs; before one was
	// published, those that came with the credential.
	BundlePEMFile = "bundle.pem"
)

// anyDomain stands for the trust domain of a node that has no credential yet:
// the format does not say it, and reading needs one.
const anyDomain = "unknown"

// bundle is the roots that the node knows.
type bundle struct {
	// sequence grows; 0: the bundle came with the credential.
	sequence uint64
	digest   string
	pem      []byte
}

func readBundle(domain string, text []byte) (*bundle, error) {
	roots, sequence, err := identity.ParseSPIFFEBundle(domain, text)
	if err != nil {
		return nil, err
	}
	return &bundle{sequence: sequence, digest: events.BundleDigest(roots...), pem: bytes.Join(roots, nil)}, nil
}

// followBundles takes each newer trust bundle until ctx ends.
func (a *Agent) followBundles(ctx context.Context, bus Bus) {
	for try := 0; ; try++ {
		err := a.followTexts(ctx, bus)
		if ctx.Err() != nil {
			return
		}
		wait := backoff(try, firstWait, longestWait, a.cfg.Random)
		a.log.Warn().Err(err).Dur(field.Wait, wait).Msg("cannot follow the trust bundle, trying again")
		if !sleep(ctx, wait) {
			return
		}
	}
}

// paced is a Bus that also tells how often to send heartbeats; *eventlog.Bus is
// one. On another the node keeps to its own.
type paced interface {
	// BundlesAndPaces is Bus.Bundles, and calls pace with each newer events.Pace.
	BundlesAndPaces(ctx context.Context, bundle, pace func(text []byte)) error
}

func (a *Agent) followTexts(ctx context.Context, bus Bus) error {
	bundle := func(text []byte) {
		if err := a.takeBundle(text); err != nil {
			a.log.Warn().Err(err).Msg("trust bundle not taken")
		}
	}
	if p, ok := bus.(paced); ok {
		return p.BundlesAndPaces(ctx, bundle, a.takePace)
	}
	return bus.Bundles(ctx, bundle)
}

// takePace counts from the next heartbeat on.
func (a *Agent) takePace(text []byte) {
	pace, err := events.ParsePace(text)
	if err != nil {
		a.log.Warn().Err(err).Msg("pace of heartbeats not taken")
		return
	}
	a.pace.Store(&pace)
	interval, lease := a.rhythm()
	a.log.Info().Dur("interval", interval).Dur(field.Lease, lease).Msg("pace of heartbeats taken")
}

// takeBundle keeps a bundle that is newer than the one held, and has the next
// heartbeat tell of it.
func (a *Agent) takeBundle(text []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		return nil
	}
	domain := anyDomain
	if c := a.credential.Load(); c != nil {
		domain = c.TrustDomain
	}
	b, err := readBundle(domain, text)
	if err != nil {
		return fmt.Errorf("read trust bundle: %w", err)
	}
	if held := a.bundle.Load(); held != nil && b.sequence <= held.sequence {
		if b.sequence < held.sequence {
			return fmt.Errorf("it is older, of sequence %d, than the one in %s, of %d", b.sequence, a.store.path(BundleFile), held.sequence)
		}
		return nil
	}
	if err := a.store.keepBundle(b, text); err != nil {
		return err
	}
	a.holdBundle(b)
	return nil
}

// bundleOf takes the bundle that came with a credential, unless one was
// published since. mu is held.
func (a *Agent) bundleOf(c *events.CredentialDelivered) error {
	if held := a.bundle.Load(); held != nil && held.sequence > 0 {
		return nil
	}
	b := &bundle{digest: events.BundleDigest([]byte(c.BundlePEM)), pem: []byte(c.BundlePEM)}
	if err := a.store.keepBundle(b, nil); err != nil {
		return err
	}
	a.holdBundle(b)
	return nil
}

func (a *Agent) holdBundle(b *bundle) {
	if held := a.bundle.Swap(b); held != nil && held.digest == b.digest {
		return
	}
	a.log.Info().Str(field.Digest, b.digest).Uint64(field.Seq, b.sequence).Str(field.Path, a.store.path(BundlePEMFile)).Msg("trust bundle kept")
	a.beatSoon()
}

// beatSoon asks for a heartbeat now.
func (a *Agent) beatSoon() {
	select {
	case a.nudge <- struct{}{}:
	default:
	}
}

// bundleDigest names the bundle in heartbeats.
func (a *Agent) bundleDigest() string {
	if b := a.bundle.Load(); b != nil {
		return b.digest
	}
	return ""
}

// loadBundle is nil when there is no bundle on disk.
func (s store) loadBundle() (*bundle, error) {
	path := s.path(BundleFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read trust bundle: %w", err)
	}
	b, err := readBundle(anyDomain, text)
	if err != nil {
		return nil, &DirError{Path: path, Err: fileError(path, identity.FileDamaged, err), Remedy: "move the file away and start again: the newest bundle is fetched then"}
	}
	return b, s.keepPEM(b)
}

// keepBundle writes what was published, if it was, and its roots as PEM.
func (s store) keepBundle(b *bundle, text []byte) error {
	if text != nil {
		if err := identity.WriteFileAtomic(s.path(BundleFile), text, 0o644); err != nil {
			return fmt.Errorf("write trust bundle: %w", err)
		}
	}
	return s.keepPEM(b)
}

// keepPEM brings the copy in line, also after a stop between the two files.
func (s store) keepPEM(b *bundle) error {
	path := s.path(BundlePEMFile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.pem) {
		return nil
	}
	if err := identity.WriteFileAtomic(path, b.pem, 0o644); err != nil {
		return fmt.Errorf("write trust bundle: %w", err)
	}
	return nil
}
