package authority

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Log is where facts about issuers go; eventlog.Log is one.
type Log interface {
	Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error)
}

// View is a live fold of the log; *view.View is one.
type View interface {
	Read(func(*projection.State))
	CatchUp(ctx context.Context) error
}

// Inventories returns inventories by digest.
type Inventories interface {
	Get(ctx context.Context, digest string) (*fleet.Inventory, error)
}

// ErrNoKey means that the folder lacks the key of an issuer that the log names.
var ErrNoKey = errors.New("the folder does not hold its key")

// Config of Issuers. Log, View, Inventories and Dir are required.
type Config struct {
	Log         Log
	View        View
	Inventories Inventories
	// Dir holds the keys and certificates; what is missing is made there.
	Dir string
	// Signers sign in place of key files of roots. While a root is rotated there
	// are two, the old one's and the new one's.
	Signers []crypto.Signer
	Logger  zerolog.Logger
	// Now is the clock of certificates and events; nil means time.Now.
	Now func() time.Time
}

// Issuers opens the issuers of a fleet. It is safe for concurrent use.
type Issuers struct {
	Config
	// turn holds a token while nobody uses the fields below. The log is asked
	// meanwhile, and who waits for that must hear of its own end.
	turn chan struct{}
	// opened by fingerprint.
	opened map[string]opened
	warned map[string]bool // of a short life, by fingerprint
	said   map[string]bool // why a step waits, by request and reason
	// completed is for what the intermediates were last looked at.
	completed wanted
}

// takeTurn waits for the turn.
func (i *Issuers) takeTurn(ctx context.Context) error {
	select {
	case <-i.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the issuers: %w", ctx.Err())
	}
}

func (i *Issuers) giveTurn() { i.turn <- struct{}{} }

type opened struct {
	*identity.CA
	dir string
}

// New returns Issuers; nothing is opened yet.
func New(c Config) (*Issuers, error) {
	if c.Log == nil || c.View == nil || c.Inventories == nil || c.Dir == "" {
		return nil, errors.New("configure issuers: log, view, inventories and folder are all required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Issuers{
		Config: c, turn: make(chan struct{}, 1),
		opened: make(map[string]opened), warned: make(map[string]bool), said: make(map[string]bool),
	}
	i.giveTurn()
	return i, nil
}

// Prepare folds to the end of the log and, if an inventory is in force, opens or
// makes its issuers. Without the root's key there is no error, only a warning:
// an executor that cannot issue can still do everything else.
func (i *Issuers) Prepare(ctx context.Context) error {
	if err := i.View.CatchUp(ctx); err != nil {
		return fmt.Errorf("fold to the end of the log: %w", err)
	}
	inv, err := i.inForce(ctx)
	if err != nil && ctx.Err() == nil {
		// It may be that nobody can ever read it. Then another one is needed, and
		// to end here, again and again, would bring it no sooner.
		i.Logger.Error().Err(err).Msg("cannot read the inventory in force, the root issuer waits for another")
		return nil
	}
	if err != nil || inv == nil {
		return err
	}
	if err := i.takeTurn(ctx); err != nil {
		return err
	}
	defer i.giveTurn()
	err = i.openAll(ctx, inv)
	if errors.Is(err, ErrNoKey) {
		i.cannotIssue(err)
		return nil
	}
	return err
}

func (i *Issuers) cannotIssue(err error) {
	i.Logger.Warn().Err(err).Str(field.Dir, i.Dir).Msg("this executor cannot issue credentials")
}

// openAll opens or makes the root and the intermediates of all regions. The turn is
// taken.
func (i *Issuers) openAll(ctx context.Context, inv *fleet.Inventory) error {
	root, err := i.root(ctx, inv)
	for r := range inv.Regions {
		if err == nil && inv.Regions[r].IntermediateCA != "" {
			_, err = i.intermediate(ctx, inv, &inv.Regions[r], root)
		}
	}
	return err
}

func (i *Issuers) inForce(ctx context.Context) (*fleet.Inventory, error) {
	var digest string
	i.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
	if digest == "" {
		return nil, nil
	}
	inv, err := i.Inventories.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory %s: %w", digest, err)
	}
	return inv, nil
}

// For returns what issues for a node: the intermediate of its region, if the
// inventory wants one there, else the root. The first of either is made and
// published.
func (i *Issuers) For(ctx context.Context, inv *fleet.Inventory, node *fleet.Node) (*identity.CA, error) {
	if err := i.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer i.giveTurn()
	issuer, err := i.root(ctx, inv)
	if err != nil {
		return nil, err
	}
	if region := inv.RegionOf(node.ID); region != nil && region.IntermediateCA != "" {
		if issuer, err = i.intermediate(ctx, inv, region, issuer); err != nil {
			return nil, err
		}
	}
	name := issuer.Fingerprint()
	if short := issuer.ShortLived(node.CredTTL, i.Now()); short && !i.warned[name] {
		i.warned[name] = true
		i.Logger.Warn().Str(field.Fingerprint, name).Str(field.Region, issuer.Region()).Time(field.NotAfter, issuer.NotAfter()).Dur("cred_ttl", node.CredTTL).
			Msg("an issuer's certificate ends in less than six lives of a credential: rotate it with 'fleetfold ca prepare'")
	}
	return issuer.CA, nil
}

// root is the one that issues. The turn is taken.
func (i *Issuers) root(ctx context.Context, inv *fleet.Inventory) (opened, error) {
	for {
		var active projection.Issuer
		var exists bool
		var last uint64
		i.View.Read(func(s *projection.State) {
			active, exists = s.Root(inv.TrustDomain)
			last = s.LastTrust()
		})
		if exists {
			ca, err := i.open(active)
			if err == nil && renewed(ca.CA, active.CertificatePEM) {
				err = i.publish(ctx, last, i.rootFact(ca.CA, inv.TrustDomain))
			}
			return ca, err
		}
		ca, _, err := i.make(i.rootBase(inv), identity.CAConfig{TrustDomain: inv.TrustDomain, Signer: i.unused(nil)})
		if err != nil {
			return opened{}, err
		}
		if err := i.publish(ctx, last, i.rootFact(ca, inv.TrustDomain)); err != nil {
			return opened{}, fmt.Errorf("publish root certificate: %w", err)
		}
	}
}

// intermediate is the one that issues for the region. The turn is taken.
func (i *Issuers) intermediate(ctx context.Context, inv *fleet.Inventory, region *fleet.Region, root opened) (opened, error) {
	for {
		var active projection.Issuer
		var exists bool
		var last uint64
		i.View.Read(func(s *projection.State) {
			active, exists = s.Intermediate(inv.TrustDomain, region.Name, root.Fingerprint())
			last = s.LastTrust()
		})
		if exists {
			return i.open(active)
		}
		ca, _, err := i.make(regionBase(root.dir, region), identity.CAConfig{TrustDomain: inv.TrustDomain, Parent: root.CA, Region: region.Name})
		if err != nil {
			return opened{}, err
		}
		if err := i.publish(ctx, last, i.intermediateFact(ca, inv.TrustDomain)); err != nil {
			return opened{}, fmt.Errorf("publish intermediate certificate: %w", err)
		}
	}
}

// publish appends a fact. A lost race means that somebody else published; the
// caller looks again, since the fold has it when publish returns.
func (i *Issuers) publish(ctx context.Context, last uint64, fact *events.Event) error {
	_, err := i.Log.Append(ctx, eventlog.Entry{Event: fact, Fence: eventlog.LastOnSubject(last)})
	if err != nil && !errors.Is(err, eventlog.ErrConflict) {
		return err
	}
	return i.View.CatchUp(ctx)
}

func (i *Issuers) rootFact(ca *identity.CA, domain string) *events.Event {
	text := string(ca.CertificatePEM())
	return i.fact(events.TypeTrustPublished, &events.TrustPublished{
		TrustDomain: domain, Fingerprint: ca.Fingerprint(), CertificatePEM: text,
	}, text)
}

func (i *Issuers) intermediateFact(ca *identity.CA, domain string) *events.Event {
	text := string(ca.CertificatePEM())
	return i.fact(events.TypeTrustDelegated, &events.TrustDelegated{
		TrustDomain: domain, Region: ca.Region(), Fingerprint: ca.Fingerprint(), Issuer: ca.Root().Fingerprint(),
		Serial: ca.Serial(), NotAfter: ca.NotAfter().UTC(), CertificatePEM: text,
	}, text)
}

// fact is an event whose id follows from its type and the parts.
func (i *Issuers) fact(kind events.Type, data events.Payload, parts ...string) *events.Event {
	return &events.Event{
		ID: events.NewID(append([]string{string(kind)}, parts...)...), Source: events.SourceExecutor,
		Type: kind, Time: i.Now(), Data: data,
	}
}
