package eventlog

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// lastDirect is the newest message of a stream on subject, which may have
// wildcards; its sequence is 0 where there is none. Any replica may answer, and
// one that is behind answers with an older message.
func (b *Bus) lastDirect(ctx context.Context, stream, subject string) (sequence uint64, data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	question, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, nil, err
	}
	m, err := b.nc.RequestWithContext(ctx, b.apiPrefix()+"DIRECT.GET."+stream, question)
	if errors.Is(err, nats.ErrNoResponders) {
		return 0, nil, fmt.Errorf("stream %s: %w", stream, jetstream.ErrStreamNotFound)
	}
	if err != nil {
		return 0, nil, plain(err)
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return 0, nil, nil
	default:
		return 0, nil, fmt.Errorf("stream %s answered %s %s", stream, status, m.Header.Get("Description"))
	}
	if sequence, err = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
		return 0, nil, fmt.Errorf("read sequence of stream %s: %w", stream, err)
	}
	return sequence, m.Data, nil
}

// readObject asks for the parts of an object one after the other. That takes no
// consumer, which only those may make who may have the server send what is
// stored to any subject they like.
func (b *Bus) readObject(ctx context.Context, bucket, name string) ([]byte, error) {
	stream, subject := "OBJ_"+bucket, "$O."+bucket+"."
	sequence, meta, err := b.lastDirect(ctx, stream, subject+"M."+base64.URLEncoding.EncodeToString([]byte(name)))
	if err != nil {
		return nil, err
	}
	var info jetstream.ObjectInfo
	if sequence != 0 {
		if err := json.Unmarshal(meta, &info); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInventoryDamaged, err)
		}
	}
	switch {
	case sequence == 0 || info.Deleted:
		return nil, ErrNoInventory
	case info.Size > MaxInventoryBytes:
		return nil, ErrInventoryTooLarge
	}
	text := make([]byte, 0, info.Size)
	next, news := uint64(1), time.Now()
	for parts := uint32(0); parts < info.Chunks; {
		n, err := b.parts(ctx, stream, subject+"C."+info.NUID, &next, &text)
		parts += n
		switch {
		case err != nil:
			return nil, err
		case n > 0:
			news = time.Now()
			continue
		case time.Since(news) > replicaLag:
			return nil, fmt.Errorf("%w: it has %d parts of %d", ErrInventoryDamaged, parts, info.Chunks)
		}
		if err := wait(ctx, readPause); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// parts appends what one answer brings.
func (b *Bus) parts(ctx context.Context, stream, subject string, next *uint64, text *[]byte) (n uint32, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, b.js, stream, readMessages,
		jetstreamext.GetBatchSeq(*next), jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return 0, plain(err)
	}
	for m, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return n, nil
		case err != nil:
			return n, err
		case len(*text)+len(m.Data) > MaxInventoryBytes:
			return n, ErrInventoryTooLarge
		}
		*text = append(*text, m.Data...)
		*next = m.Sequence + 1
		n++
	}
	return n, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
