package eventlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
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
	r = &interrupted{ctx, r}
	// What was stored of it must be taken back, also when ctx ends.
	ctx, cancel := outlasting(ctx, snapshotTime, requestTimeout)
	defer cancel()
	name = fmt.Sprintf("%020d-%s", sequence, strings.ToLower(rand.Text()[:8]))
	id, err := b.putObject(ctx, b.snapshotsBucket(), name, snapshotChunk, r)
	if err == nil {
		return name, nil
	}
	if id != "" {
		err = errors.Join(err, b.eraseChunks(ctx, id))
	}
	return "", fmt.Errorf("store snapshot %s: %w", name, plain(err))
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
	objects, err := b.snapshotObjects(ctx)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var list []StoredSnapshot
	for _, o := range objects {
		list = append(list, StoredSnapshot{Name: o.Name, Sequence: sequenceOf(o.Name), Size: o.Size, Time: o.ModTime.UTC()})
	}
	return list, nil
}

// snapshotObjects are what Snapshots lists, in its order.
func (b *Bus) snapshotObjects(ctx context.Context) ([]jetstream.ObjectInfo, error) {
	objects, err := b.objects(ctx, b.snapshotsBucket())
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) {
		return nil, nil // it may be deleted at any time, and nobody has saved since
	}
	slices.SortFunc(objects, func(a, b jetstream.ObjectInfo) int {
		return cmp.Or(b.ModTime.Compare(a.ModTime), cmp.Compare(b.Name, a.Name))
	})
	return objects, err
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
// when the store does not have all of it, or other bytes than its own digest
// says. Close it, read to the end or not.
func (b *Bus) OpenSnapshot(ctx context.Context, name string) (io.ReadCloser, error) {
	info, err := b.objectInfo(ctx, b.snapshotsBucket(), name)
	switch {
	case errors.Is(err, errNoObject):
		return nil, fmt.Errorf("read snapshot %s: %w", name, ErrNoSnapshot)
	case errors.Is(err, errObjectDamaged):
		return nil, fmt.Errorf("read snapshot %s: %w: %w", name, ErrSnapshotDamaged, err)
	case err != nil:
		return nil, fmt.Errorf("read snapshot %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	return &snapshotReader{object: b.openObject(ctx, b.snapshotsBucket(), info), digest: info.Digest, hash: sha256.New(), name: name, cancel: cancel}, nil
}

// snapshotReader compares what was read with the store's digest.
type snapshotReader struct {
	object       *objectReader
	digest, name string
	hash         hash.Hash
	cancel       context.CancelFunc
}

func (r *snapshotReader) Read(p []byte) (int, error) {
	n, err := r.object.Read(p)
	r.hash.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		if r.digest == "SHA-256="+base64.URLEncoding.EncodeToString(r.hash.Sum(nil)) {
			return n, io.EOF
		}
		err = ErrSnapshotDamaged
	case errors.Is(err, errObjectDamaged):
		err = fmt.Errorf("%w: %w", ErrSnapshotDamaged, err)
	}
	return n, fmt.Errorf("read snapshot %s: %w", r.name, err)
}

func (r *snapshotReader) Close() error {
	r.cancel()
	return nil
}
