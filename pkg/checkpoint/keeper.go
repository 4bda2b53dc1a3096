package checkpoint

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// again is after how long what failed is tried again on a log that does not grow.
const again = 15 * time.Second

// Config of a Keeper.
type Config struct {
	Log eventlog.Log
	Key merkle.Key
	// Every is after how many records, checkpoints not counted, another is due; from 1.
	Every uint64
	// HandOn gives checkpoints to who keeps them, by name for the log; it may be
	// empty. Each has to bear the same note twice.
	HandOn map[string]func(ctx context.Context, note []byte) error
	// Metrics may be nil.
	Metrics *Metrics
	Logger  zerolog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Keeper signs a log as it grows.
type Keeper struct {
	Config
	account *account
	// owed are the names of HandOn that have not taken the newest checkpoint.
	owed map[string]bool
}

// NewKeeper returns one that Run starts.
func NewKeeper(c Config) *Keeper {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	return &Keeper{Config: c, owed: make(map[string]bool)}
}

// Run follows the log until ctx ends; the error is ctx's, or eventlog.ErrGap. What
// else goes wrong is told and tried again: nothing may end a planner because it
// cannot be signed. Only a checkpoint that does not match is waited on, and nothing
// is signed any more.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		err := k.run(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, eventlog.ErrGap):
			return err
		case errors.Is(err, ErrMismatch):
			k.Metrics.mismatch.Set(1)
			k.Logger.Error().Err(err).Msg("a checkpoint stands on the log that its records do not have: signing no more")
			<-ctx.Done()
			return context.Cause(ctx)
		}
		k.Logger.Warn().Err(err).Dur(field.Wait, again).Msg("cannot keep account of the log, trying again")
		rest(ctx, again)
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (k *Keeper) run(ctx context.Context) error {
	cursor, err := k.start(ctx)
	if err != nil {
		return err
	}
	defer cursor.Close()
	failed := k.handOn(ctx)
	for {
		records, err := next(ctx, cursor, failed)
		if err != nil {
			return err
		}
		if err := k.take(records); err != nil {
			return err
		}
		failed = k.publish(ctx)
		failed = k.handOn(ctx) || failed
	}
}

func (k *Keeper) start(ctx context.Context) (eventlog.Cursor, error) {
	a, why, err := open(ctx, k.Log, k.Key)
	if err != nil {
		return nil, err
	}
	if why != nil {
		k.Logger.Warn().Err(why).Msg("newest checkpoint on the log is none of this key: reading the log from its first record")
	}
	k.account = a
	k.settle()
	return k.Log.Follow(ctx, a.size())
}

// next waits for records, or for the time to try again; then there are none.
func next(ctx context.Context, cursor eventlog.Cursor, failed bool) ([]eventlog.Record, error) {
	if !failed {
		return cursor.Next(ctx)
	}
	waiting, cancel := context.WithTimeout(ctx, again)
	defer cancel()
	records, err := cursor.Next(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return records, err
}

func (k *Keeper) take(records []eventlog.Record) error {
	for _, r := range records {
		before := k.account.newest.Sequence
		why, err := k.account.take(r)
		if err != nil {
			return err
		}
		if why != nil {
			k.Logger.Warn().Err(why).Uint64(field.Seq, r.Sequence).Msg("passed over a checkpoint that is none of this key")
		}
		if k.account.newest.Sequence != before {
			k.settle()
		}
	}
	return nil
}

// settle notes that there is another newest checkpoint, to be handed on.
func (k *Keeper) settle() {
	s := k.account.newest
	if s.Size == 0 {
		return
	}
	k.Metrics.sequence.Set(float64(s.Size))
	for name := range k.HandOn {
		k.owed[name] = true
	}
}

// publish signs when that is due, and says whether it failed. While the end of
// the log is far there is no point in it.
func (k *Keeper) publish(ctx context.Context) (failed bool) {
	if k.account.fresh < k.Every {
		return false
	}
	last, err := k.Log.Last(ctx)
	if err == nil && last-min(last, k.account.size()) >= k.Every {
		return false
	}
	var s Signed
	if err == nil {
		s, err = k.account.sign(ctx, k.Log, events.SourcePlanner, k.Now())
	}
	switch {
	case err == nil:
		k.Logger.Info().Uint64(field.Seq, s.Sequence).Uint64(field.Size, s.Size).Str(field.Root, s.Root.String()).Msg("checkpoint published")
	case errors.Is(err, eventlog.ErrConflict), ctx.Err() != nil: // another was first, and will be read
	default:
		k.Logger.Warn().Err(err).Msg("cannot publish checkpoint, trying again")
		return true
	}
	return false
}

// handOn gives the newest checkpoint to all who have not taken it, and says
// whether one of them failed.
func (k *Keeper) handOn(ctx context.Context) (failed bool) {
	if len(k.owed) == 0 {
		return false
	}
	for name := range k.owed {
		if err := k.HandOn[name](ctx, k.account.newest.Note); err != nil {
			if ctx.Err() == nil {
				k.Logger.Error().Err(err).Str(field.To, name).Uint64(field.Size, k.account.newest.Size).Msg("cannot hand checkpoint on, trying again")
			}
			failed = true
			continue
		}
		delete(k.owed, name)
	}
	k.Metrics.owed.Set(float64(len(k.owed)))
	if !failed {
		k.Logger.Info().Uint64(field.Size, k.account.newest.Size).Msg("checkpoint handed on")
	}
	return failed
}
