package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// leaveTime bounds the farewell: a node that cannot say it is called lost instead.
const leaveTime = 2 * time.Second

// stateTime bounds the wait for the ack of a proof; the issuer delivers again.
const stateTime = 5 * time.Second

// Agent speaks for one node. It holds the lock of its folder from Open to Close.
type Agent struct {
	cfg         Config
	log         zerolog.Logger
	store       store
	lock        *lock
	key         *ecdsa.PrivateKey
	fingerprint string
	// session is drawn at each start, so that a restart can be told from a pause.
	session string
	count   atomic.Uint64 // events made, for their ids

	// mu lets one command be answered at a time. Heartbeats never wait for it.
	mu       sync.Mutex
	stopping bool
	// credential the node uses; nil while there is none. pending is a newer one
	// that takes its place once it is confirmed. Both change under mu.
	credential, pending atomic.Pointer[events.CredentialDelivered]
	// rotating is the serial of a credential that is to be renewed before its time.
	rotating atomic.Pointer[string]

	// pace that the fleet asks for; nil while none was heard of.
	pace atomic.Pointer[events.Pace]

	// bundle of roots that the node knows; nil while there is none.
	bundle atomic.Pointer[bundle]

	// beating is held while a heartbeat is under way, so that none follows the farewell.
	beating sync.Mutex
	left    bool
	resting time.Duration // until the next heartbeat, by the lease of the newest
	tally   tally         // of heartbeats

	// reports are of what the node refused.
	reports reports

	// unsigned counts posts that are under way without a signature.
	unsigned flights

	nudge    chan struct{} // asks for a heartbeat now
	renewals chan struct{} // asks for a look at the credential now
	stopped  chan string   // carries why the agent was told to stop
}

// Open takes the folder's lock and reads or makes the key.
func Open(cfg Config, log zerolog.Logger) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check configuration: %w", err)
	}
	a := &Agent{
		cfg: cfg.withDefaults(), log: log, store: store{cfg.Dir}, session: rand.Text(),
		nudge: make(chan struct{}, 1), renewals: make(chan struct{}, 1), stopped: make(chan string, 1),
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	held, err := awaitLock(a.store.path(lockFile), cfg.LockWait)
	if err != nil {
		return nil, err
	}
	a.lock = held
	if err := a.load(); err != nil {
		return nil, errors.Join(err, held.release())
	}
	return a, nil
}

// lockPoll is how often a lock that is held is tried again.
const lockPoll = 50 * time.Millisecond

// awaitLock takes the lock as soon as its holder lets go, within patience.
func awaitLock(path string, patience time.Duration) (*lock, error) {
	end := time.NewTimer(patience)
	defer end.Stop()
	again := time.NewTicker(lockPoll)
	defer again.Stop()
	for {
		held, err := takeLock(path)
		var busy *DirError
		if patience == 0 || !errors.As(err, &busy) {
			return held, err
		}
		select {
		case <-end.C:
			return nil, err
		case <-again.C:
		}
	}
}

func (a *Agent) load() error {
	key, created, err := a.store.loadKey()
	if err != nil {
		return err
	}
	a.key = key
	if a.fingerprint, err = identity.Fingerprint(key.Public()); err != nil {
		return fmt.Errorf("read own key: %w", err)
	}
	if created {
		a.log.Info().Str(field.Fingerprint, a.fingerprint).Msg("key made")
	}
	c, gone, err := a.store.loadCredential(a.cfg.Node, a.fingerprint, a.cfg.Now())
	if err != nil {
		return err
	}
	if gone != nil {
		a.log.Warn().Err(gone).Str(field.Path, a.store.path(CredentialFile)).Msg("credential counts for nothing now")
	}
	a.credential.Store(c)
	if err := a.loadPending(); err != nil {
		return err
	}
	return a.loadBundle()
}

// loadBundle takes the bundle on disk, and else the one that came with the
// credential.
func (a *Agent) loadBundle() error {
	b, err := a.store.loadBundle()
	if err != nil {
		return err
	}
	if b != nil {
		a.bundle.Store(b)
	} else if c := a.credential.Load(); c != nil {
		return a.bundleOf(c)
	}
	return nil
}

// loadPending takes up a renewal where a stop left it. A pending credential
// that is of no use is passed over, for the one in use is the one that counts.
func (a *Agent) loadPending() error {
	pending, err := a.store.loadPending(a.cfg.Node, a.fingerprint, a.cfg.Now())
	if err != nil {
		a.log.Warn().Err(err).Str(field.Path, a.store.path(PendingFile)).Msg("pending credential is of no use")
		if !lapsed(err) {
			a.Refused(events.RefusedFile, identity.FileDamaged, a.store.path(PendingFile)+": "+err.Error())
		}
	}
	held := a.credential.Load()
	switch {
	case pending == nil:
		return nil
	case held == nil: // it is the best there is, proved or not
		return errors.Join(a.use(pending), a.drop())
	case held.Serial == pending.Serial: // stopped between the two files
		return a.drop()
	}
	a.pending.Store(pending)
	return nil
}

// Close gives the folder's lock back.
func (a *Agent) Close() error { return a.lock.release() }

// Run serves as the node's agent until ctx ends or a command stops it; both are
// no error. It opens the folder, and closes folder and bus when it returns.
func Run(ctx context.Context, cfg Config, bus Bus, log zerolog.Logger) error {
	a, err := Open(cfg, log)
	if err != nil {
		bus.Close()
		return err
	}
	return errors.Join(a.Run(ctx, bus), a.Close())
}

// Run serves on bus until ctx ends or a command stops it, and closes bus. An
// Agent runs once.
func (a *Agent) Run(ctx context.Context, bus Bus) error {
	defer bus.Close()
	// Commands first: whoever sees the node appear may write to it at once.
	stop := a.serve(ctx, bus)
	if stop == nil {
		return nil
	}
	defer stop()
	a.log.Info().Str(field.Node, string(a.cfg.Node)).Str(field.Session, a.session).Str(field.Dir, a.cfg.Dir).
		Str(field.Fingerprint, a.fingerprint).Str(field.Serial, a.serial()).Dur(field.Lease, a.cfg.Lease).Msg("agent started")

	beatCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var beats sync.WaitGroup
	beats.Go(func() { a.beatOn(beatCtx, bus) })
	beats.Go(func() { a.renewOn(beatCtx, bus) })
	beats.Go(func() { a.followBundles(beatCtx, bus) })
	beats.Go(func() { a.reportOn(beatCtx, bus) })
	cause := "stopped"
	select {
	case <-ctx.Done():
	case cause = <-a.stopped:
	}
	cancel()
	beats.Wait()
	if !a.Stopping() { // or it is a node no more, and nobody would listen
		a.reportLast(context.WithoutCancel(ctx), bus)
	}
	if err := a.leave(context.WithoutCancel(ctx), bus); err != nil {
		a.log.Warn().Err(err).Msg("farewell failed, the node will be called lost")
	}
	if cause == causeDecommissioned {
		// Who started it before the inventory was applied has to know what to do.
		a.log.Warn().Str(field.Node, string(a.cfg.Node)).Msg("the inventory in force does not name this node: its credential is forgotten, start the agent again once it does")
	}
	a.log.Info().Str(field.Node, string(a.cfg.Node)).Str(field.Cause, cause).Msg("agent stopped")
	return nil
}

// serve subscribes to commands and tries for as long as ctx lasts; nil means
// that it ended.
func (a *Agent) serve(ctx context.Context, bus Bus) (stop func()) {
	for try := 0; ; try++ {
		stop, err := bus.ServeCommands(ctx, a.cfg.Node, func(ctx context.Context, e *events.Event) *events.Event {
			return a.answer(ctx, bus, e)
		})
		if err == nil {
			return stop
		}
		if ctx.Err() != nil {
			return nil
		}
		wait := backoff(try, firstWait, longestWait, a.cfg.Random)
		a.log.Warn().Err(err).Dur(field.Wait, wait).Msg("cannot take commands, trying again")
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func (a *Agent) serial() string {
	if c := a.credential.Load(); c != nil {
		return c.Serial
	}
	return ""
}

// serials of the credential in use and of the one that is to replace it. The
// pending one is read first: if it is confirmed meanwhile, it is the one in use.
func (a *Agent) serials() (held, pending string) {
	if c := a.pending.Load(); c != nil {
		pending = c.Serial
	}
	if held = a.serial(); held == pending {
		pending = ""
	}
	return held, pending
}

// speaker makes what the node says.
func (a *Agent) speaker() Speaker {
	return Speaker{Node: a.cfg.Node, Key: a.key, Fingerprint: a.fingerprint, Session: a.session, Count: &a.count, Now: a.cfg.Now}
}
