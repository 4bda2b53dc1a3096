package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Objects are read by asking for their parts one after the other. That takes no
// consumer, which only those may make who may have the server send what is
// stored to any subject they like.

const (
	// objectPage bounds what one answer brings of an object, in bytes.
	objectPage = 4 << 20
	// objectIdle is how long an answer may take.
	objectIdle = 15 * time.Second
)

var (
	errNoObject         = errors.New("no such object")
	errObjectDamaged    = errors.New("object is damaged")
	errObjectIncomplete = fmt.Errorf("%w: parts are missing", errObjectDamaged)
)

// objectInfo is what the store says of an object.
func (b *Bus) objectInfo(ctx context.Context, bucket, name string) (jetstream.ObjectInfo, error) {
	m, err := b.getDirect(ctx, bucketStream+bucket, map[string]any{
		"last_by_subj": objectMeta(bucket, name),
	})
	if errors.Is(err, errNoMessage) {
		return jetstream.ObjectInfo{}, errNoObject
	}
	if err != nil {
		return jetstream.ObjectInfo{}, err
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return jetstream.ObjectInfo{}, fmt.Errorf("%w: %w", errObjectDamaged, err)
	}
	if info.Deleted {
		return jetstream.ObjectInfo{}, errNoObject
	}
	return info, nil
}

// objects lists what a bucket has, in no order that means anything. What cannot
// be read of it is left out, as the client library does.
func (b *Bus) objects(ctx context.Context, bucket string) (list []jetstream.ObjectInfo, err error) {
	for next, more := uint64(1), true; more; {
		more = false
		err := b.page(ctx, bucketStream+bucket, "$O."+bucket+".M.>", next, func(m *jetstream.RawStreamMsg) {
			next, more = m.Sequence+1, true
			var info jetstream.ObjectInfo
			if json.Unmarshal(m.Data, &info) == nil && !info.Deleted {
				info.ModTime = m.Time
				list = append(list, info)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// page tells take of what one answer brings of a subject, from a sequence on.
func (b *Bus) page(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg)) error {
	ctx, cancel := context.WithTimeout(ctx, objectIdle)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, b.js, stream, readMessages,
		jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(objectPage))
	if err != nil {
		return plain(err)
	}
	for m, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return nil
		case err != nil:
			return plain(err)
		}
		take(m)
	}
	return ctx.Err()
}

// objectReader reads the parts of an object; it does not compare the digest.
type objectReader struct {
	ctx             context.Context
	bus             *Bus
	stream, subject string
	// left is how many parts are to come, the first at next or later.
	left int64
	next uint64
	page bytes.Buffer
}

func (b *Bus) openObject(ctx context.Context, bucket string, info jetstream.ObjectInfo) *objectReader {
	return &objectReader{ctx: ctx, bus: b, stream: bucketStream + bucket, subject: objectChunks(bucket, info.NUID), left: int64(info.Chunks), next: 1}
}

func (r *objectReader) Read(p []byte) (int, error) {
	for r.page.Len() == 0 {
		if r.left <= 0 {
			return 0, io.EOF
		}
		if err := r.turn(); err != nil {
			return 0, err
		}
	}
	return r.page.Read(p)
}

// turn gets the next page. Its replica may be behind the one that knew of the object.
func (r *objectReader) turn() error {
	r.page.Reset()
	for began := time.Now(); ; {
		before := r.left
		err := r.bus.page(r.ctx, r.stream, r.subject, r.next, func(m *jetstream.RawStreamMsg) {
			r.page.Write(m.Data)
			r.next = m.Sequence + 1
			r.left--
		})
		switch {
		case err != nil || r.left < before:
			return err
		case time.Since(began) > replicaLag:
			return fmt.Errorf("%w: %d", errObjectIncomplete, r.left)
		}
		if err := wait(r.ctx, readPause); err != nil {
			return err
		}
	}
}
