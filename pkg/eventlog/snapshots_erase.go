package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What is left of a snapshot goes by messages that replace all that stands under
// their subject, and that end by themselves. So a planner, which writes
// snapshots anyway, needs no right to purge a stream. It could replace all of the
// bucket, which is a cache.

// erasedTTL is how long it stays readable that a snapshot is gone.
const erasedTTL = time.Minute

// DeleteSnapshots deletes all but the newest keep, and what writers that died
// have left of theirs.
func (b *Bus) DeleteSnapshots(ctx context.Context, keep int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	list, err := b.snapshotObjects(ctx)
	if err != nil {
		return fmt.Errorf("delete snapshots: %w", err)
	}
	for _, o := range list[min(keep, len(list)):] {
		if err := b.eraseSnapshot(ctx, o); err != nil {
			return fmt.Errorf("delete snapshot %s: %w", o.Name, plain(err))
		}
	}
	if err := b.sweepSnapshots(ctx); err != nil {
		return fmt.Errorf("delete what is left of snapshots: %w", plain(err))
	}
	return nil
}

// eraseSnapshot says first that it is gone, as the client library does, so that
// nobody begins to read what is being erased.
func (b *Bus) eraseSnapshot(ctx context.Context, o jetstream.ObjectInfo) error {
	id := o.NUID
	o.Deleted, o.Size, o.Chunks, o.Digest = true, 0, 0, ""
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := b.replace(ctx, objectMeta(b.snapshotsBucket(), o.Name), data); err != nil {
		return err
	}
	return b.eraseChunks(ctx, id)
}

func (b *Bus) eraseChunks(ctx context.Context, id string) error {
	return b.replace(ctx, objectChunks(b.snapshotsBucket(), id), nil)
}

// replace puts data in the place of all that is stored under a subject, until
// erasedTTL has passed.
func (b *Bus) replace(ctx context.Context, subject string, data []byte) error {
	m := nats.NewMsg(subject)
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Data = data
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithMsgTTL(erasedTTL))
	return err
}

// sweepSnapshots erases chunks that belong to no snapshot and are too old for
// one that is being stored.
func (b *Bus) sweepSnapshots(ctx context.Context) error {
	s, err := b.js.Stream(ctx, bucketStream+b.snapshotsBucket())
	if err != nil {
		return err
	}
	chunks := objectChunks(b.snapshotsBucket(), "")
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(chunks+">"))
	if err != nil {
		return err
	}
	// After the chunks: whose snapshot was completed meanwhile is listed here.
	objects, err := b.objects(ctx, b.snapshotsBucket())
	if err != nil {
		return err
	}
	for _, o := range objects {
		delete(info.State.Subjects, chunks+o.NUID)
	}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && (len(m.Data) == 0 || info.TimeStamp.Sub(m.Time) < 2*snapshotTime) {
			continue // gone or going, or not old enough
		}
		if err == nil {
			err = b.replace(ctx, subject, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
