package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

const (
	// DefaultEvery is how many records lie between two snapshots.
	DefaultEvery = 10_000
	// Kept is how many snapshots are kept: the newest, and two for the case that
	// it is damaged or of a planner with another version.
	Kept = 3
	// worthwhile is how many records a snapshot at the end must save whoever
	// starts next.
	worthwhile = 1_000
	// share is how much longer than a save took the next one waits: in a fleet so
	// large that each takes long, most of the time must belong to the fold.
	share = 10
	// retry is the wait after a failure, doubled by each further one.
	retry, retryCap = 10 * time.Second, 10 * time.Minute
)

// Folded is a fold that follows the log; view.View is one.
type Folded interface {
	// Changed is closed at the next fold, or when the fold ends.
	Changed() <-chan struct{}
	CaughtUp() bool
	Err() error
	// Began is the sequence behind which the fold began: that of a snapshot, or 0.
	Began() uint64
	Mark() Mark
	// Still is the fold as it is now, and the mark that it ends with.
	Still() (*projection.Still, Mark)
}

// Saver saves a fold now and then. A failure is logged, counted and tried again;
// it never disturbs the fold. Any number of savers may share a store.
type Saver struct {
	Fold  Folded
	Store Store
	// Every so many records a snapshot is saved; 0 means never.
	Every uint64
	// Metrics may be nil.
	Metrics *Metrics
	Logger  zerolog.Logger

	saved    uint64 // sequence that needs no saving
	failures int
	next     time.Time // before it nothing is tried
}

// Run saves until ctx ends or the fold does. Nothing is saved before the fold
// has caught up with the log: what is on its way need not be kept.
func (s *Saver) Run(ctx context.Context) {
	if s.Every == 0 {
		return
	}
	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	for s.Fold.Err() == nil && ctx.Err() == nil {
		changed := s.Fold.Changed()
		if s.due(s.Every) {
			if wait := time.Until(s.next); wait > 0 {
				timer.Reset(wait)
			} else {
				s.save(ctx)
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
	}
}

// Finish saves once more if that will spare the next start enough. Call it when
// Run has returned, with a context that still runs.
func (s *Saver) Finish(ctx context.Context) {
	if s.Every > 0 && !errors.Is(s.Fold.Err(), eventlog.ErrGap) && s.due(min(s.Every, worthwhile)) {
		s.save(ctx)
	}
}

func (s *Saver) due(after uint64) bool {
	return s.Fold.CaughtUp() && s.Fold.Mark().Sequence >= max(s.saved, s.Fold.Began())+after
}

func (s *Saver) save(ctx context.Context) {
	began := time.Now()
	img, at := s.Fold.Still()
	name, size, err := s.put(ctx, img, at)
	if ctx.Err() != nil && err != nil {
		return // the end is no failure; Finish comes
	}
	if err != nil {
		s.failures++
		wait := min(retry<<min(s.failures-1, 10), retryCap)
		s.next = time.Now().Add(wait)
		s.Metrics.failed()
		s.Logger.Warn().Err(err).Uint64(field.Seq, at.Sequence).Dur(field.Wait, wait).Msg("cannot save snapshot")
		return
	}
	s.saved, s.failures, s.next = at.Sequence, 0, time.Now().Add(share*time.Since(began))
	s.Metrics.saved(at.Sequence, size, time.Now())
	if err := s.Store.DeleteSnapshots(ctx, Kept); err != nil && ctx.Err() == nil {
		s.Metrics.failed()
		s.Logger.Warn().Err(err).Msg("cannot delete old snapshots")
	}
	s.Logger.Info().Str(field.Snapshot, name).Uint64(field.Seq, at.Sequence).Int64(field.Bytes, size).
		Dur(field.Duration, time.Since(began)).Msg("snapshot saved")
}

// put encodes while it stores, so that no copy of the whole is made.
func (s *Saver) put(ctx context.Context, img *projection.Still, at Mark) (name string, size int64, err error) {
	r, w := io.Pipe()
	encoded := make(chan error, 1)
	count := &counter{w: w}
	go func() {
		_, err := Encode(count, img, at)
		w.CloseWithError(err)
		encoded <- err
	}()
	name, err = s.Store.PutSnapshot(ctx, at.Sequence, r)
	r.CloseWithError(errNotTaken)
	if encodeErr := <-encoded; encodeErr != nil && !errors.Is(encodeErr, errNotTaken) {
		err = encodeErr
	}
	if err != nil {
		return "", 0, fmt.Errorf("save snapshot at %d: %w", at.Sequence, err)
	}
	return name, count.n, nil
}

// errNotTaken ends an encoding that nobody reads any more.
var errNotTaken = errors.New("the store took no more")

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
