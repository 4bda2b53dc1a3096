package eventlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of snapshots.
var (
	// ErrNoSnapshot means that there is no snapshot of that name (any more).
	ErrNoSnapshot = errors.New("no such snapshot")
	// ErrSnapshotDamaged means that the store does not have the bytes that were put.
	ErrSnapshotDamaged = errors.New("stored snapshot is damaged")
)

const (
	// snapshotChunk keeps the messages of an object few: each costs the server a
	// sync. It is below the largest message that servers accept by default.
	snapshotChunk = 512 << 10
	// snapshotTime bounds the storing of one.
	snapshotTime = 10 * time.Minute
	// snapshotIdle is how long a transfer may stand still.
	snapshotIdle = 15 * time.Second
)

// StoredSnapshot is one snapshot in the object store.
type StoredSnapshot struct {
	// Name in the store.
	Name string
	// Sequence of the log that it was put for. Only its content says for certain.
	Sequence uint64
	// Size in bytes.
	Size uint64
	// Time it was stored, by the server's clock.
	Time time.Time
}

// PutSnapshot stores what r gives as a snapshot of the log up to sequence. Each
// gets a name of its own, so that several writers do not disturb each other. An
// error of r leaves nothing behind.
func (b *Bus) PutSnapshot(ctx context.Context, sequence uint64, r io.Reader) (name string, err error) {
	store, err := b.snapshots(ctx)
	if err != nil {
		return "", fmt.Errorf("store snapshot: %w", err)
	}
	r = &interrupted{ctx, r}
	// What was stored of it must be taken back, also when ctx ends.
	ctx, cancel := outlasting(ctx, snapshotTime, requestTimeout)
	defer cancel()
	name = fmt.Sprintf("%020d-%s", sequence, strings.ToLower(rand.Text()[:8]))
	meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: snapshotChunk}}
	if _, err := store.Put(ctx, meta, r); err != nil {
		return "", fmt.Errorf("store snapshot %s: %w", name, plain(err))
	}
	return name, nil
}

// interrupted is a reader that ends with a context.
type interrupted struct {
	ctx context.Context
	r   io.Reader
}

func (r *interrupted) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// outlasting is a context that ends after limit, or when ctx has ended and grace
// has passed.
func outlasting(ctx context.Context, limit, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// Snapshots lists what is stored, the newest first by the time it was stored:
// a snapshot of a log that is gone may well have a higher sequence.
func (b *Bus) Snapshots(ctx context.Context) ([]StoredSnapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotIdle)
	defer cancel()
	store, err := b.snapshots(ctx)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil // an older release made the fleet, and nobody has saved since
	}
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	objects, err := store.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, fmt.Errorf("list snapshots: %w", plain(err))
	}
	list := make([]StoredSnapshot, len(objects))
	for i, o := range objects {
		list[i] = StoredSnapshot{Name: o.Name, Sequence: sequenceOf(o.Name), Size: o.Size, Time: o.ModTime.UTC()}
	}
	slices.SortFunc(list, func(a, b StoredSnapshot) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Name, a.Name)) })
	return list, nil
}

// sequenceOf is 0 for a name that somebody else gave.
func sequenceOf(name string) uint64 {
	digits, _, _ := strings.Cut(name, "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// OpenSnapshot reads a snapshot. The reader's last error is ErrSnapshotDamaged
// when the store's own digest does not agree. Close it, read to the end or not.
func (b *Bus) OpenSnapshot(ctx context.Context, name string) (io.ReadCloser, error) {
	store, err := b.snapshots(ctx)
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	giveUp := time.AfterFunc(snapshotIdle, cancel)
	object, err := store.Get(patient{ctx}, name)
	giveUp.Stop()
	if err != nil {
		cancel()
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			err = ErrNoSnapshot
		}
		return nil, fmt.Errorf("read snapshot %s: %w", name, plain(err))
	}
	return &snapshotReader{object: object, name: name, cancel: cancel}, nil
}

// patient is a context whose deadline is always a while ahead. The client takes
// the deadline for that of each read, and without one allows five seconds for
// all of them: too short for a large fleet, and too long for chunks that are gone.
type patient struct{ context.Context }

func (p patient) Deadline() (time.Time, bool) { return time.Now().Add(snapshotIdle), true }

// DeleteSnapshots deletes all but the newest keep, and what writers that died
// have left of theirs.
func (b *Bus) DeleteSnapshots(ctx context.Context, keep int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // the client's list has no bound of its own
	defer cancel()
	list, err := b.Snapshots(ctx)
	if err != nil {
		return err
	}
	store, err := b.snapshots(ctx)
	if err != nil {
		return fmt.Errorf("delete snapshots: %w", err)
	}
	for _, s := range list[min(keep, len(list)):] {
		// Another writer may have been quicker.
		if err := store.Delete(ctx, s.Name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return fmt.Errorf("delete snapshot %s: %w", s.Name, plain(err))
		}
	}
	if err := b.sweepSnapshots(ctx, store); err != nil {
		return fmt.Errorf("delete what is left of snapshots: %w", plain(err))
	}
	return nil
}

// sweepSnapshots purges chunks that belong to no snapshot and are too old for
// one that is being stored.
func (b *Bus) sweepSnapshots(ctx context.Context, store jetstream.ObjectStore) error {
	s, err := b.js.Stream(ctx, "OBJ_"+b.snapshotsBucket())
	if err != nil {
		return err
	}
	chunks := "$O." + b.snapshotsBucket() + ".C."
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(chunks+">"))
	if err != nil {
		return err
	}
	// After the chunks: whose snapshot was completed meanwhile is listed here.
	objects, err := store.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return err
	}
	for _, o := range objects {
		delete(info.State.Subjects, chunks+o.NUID)
	}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && info.TimeStamp.Sub(m.Time) < 2*snapshotTime {
			continue
		}
		if err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) snapshots(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := b.js.ObjectStore(ctx, b.snapshotsBucket())
	if err != nil {
		return nil, fmt.Errorf("open object store %s: %w", b.snapshotsBucket(), plain(err))
	}
	return store, nil
}

// snapshotReader ends a transfer that stands still: an object whose chunks are
// gone would else be waited for as long as anyone has time.
type snapshotReader struct {
	object jetstream.ObjectResult
	name   string
	cancel context.CancelFunc
}

func (r *snapshotReader) Read(p []byte) (int, error) {
	n, err := r.object.Read(p)
	switch {
	case err == nil && (n > 0 || len(p) == 0), errors.Is(err, io.EOF):
		return n, err
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("nothing came for %s: %w", snapshotIdle, nats.ErrTimeout)
	case errors.Is(err, jetstream.ErrDigestMismatch):
		err = fmt.Errorf("%w: %w", ErrSnapshotDamaged, err)
	}
	return n, fmt.Errorf("read snapshot %s: %w", r.name, err)
}

func (r *snapshotReader) Close() error {
	err := r.object.Close()
	r.cancel()
	return err
}
