package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoToken means that no record of a join token is stored under an id.
var ErrNoToken = errors.New("no such token")

// tokenMarker is how long the end of a record stays readable, for whoever is
// just reading the bucket.
const tokenMarker = time.Minute

func (b *Bus) tokensBucket() string { return b.streamPrefix() + "_TOKENS" }

// EnsureTokens makes the bucket of join tokens where it is missing. Only who
// makes tokens needs it: without the bucket there are none.
func (b *Bus) EnsureTokens(ctx context.Context) error {
	err := b.whenSettled(ctx, func(ctx context.Context) error {
		ctx, cancel := question(ctx)
		defer cancel()
		_, err := b.js.KeyValue(ctx, b.tokensBucket())
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			_, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
				Bucket: b.tokensBucket(), Description: "Hashes of join tokens",
				Storage: jetstream.FileStorage, Replicas: b.replicas(), History: 1, LimitMarkerTTL: tokenMarker,
			})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ensure key-value bucket %s: %w", b.tokensBucket(), err)
	}
	return nil
}

// CreateToken stores a record that is not there yet; ErrConflict if it is. The
// server forgets it after keep, in whole seconds, unless it was updated.
func (b *Bus) CreateToken(ctx context.Context, id string, record []byte, keep time.Duration) error {
	return b.withTokens(ctx, "create token", func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Create(ctx, id, record, jetstream.KeyTTL(keep))
		return err
	})
}

// Token returns a record and its revision; ErrNoToken if there is none.
func (b *Bus) Token(ctx context.Context, id string) (record []byte, revision uint64, err error) {
	err = b.withTokens(ctx, "read token", func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, id)
		if err == nil {
			record, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	return record, revision, err
}

// UpdateToken replaces the record of that very revision; ErrConflict if it is
// another by now, or gone. What is updated stays until it is deleted.
func (b *Bus) UpdateToken(ctx context.Context, id string, record []byte, revision uint64) error {
	return b.withTokens(ctx, "update token", func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Update(ctx, id, record, revision)
		return err
	})
}

// DeleteToken deletes a record; one that is not there is ErrNoToken.
func (b *Bus) DeleteToken(ctx context.Context, id string) error {
	return b.withTokens(ctx, "delete token", func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, id)
		if err != nil {
			return err
		}
		// By this revision, so that nothing is deleted that somebody has just changed.
		return kv.Purge(ctx, id, jetstream.LastRevision(entry.Revision()), jetstream.PurgeTTL(tokenMarker))
	})
}

// Tokens returns all records by their ids; none where there is no bucket.
func (b *Bus) Tokens(ctx context.Context) (map[string][]byte, error) {
	all := make(map[string][]byte)
	err := b.withTokens(ctx, "list tokens", func(ctx context.Context, _ jetstream.KeyValue) error {
		// Read directly: people have no consumers, which a watch would need.
		prefix := "$KV." + b.tokensBucket() + "."
		for next, more := uint64(1), true; more; {
			more = false
			err := b.page(ctx, "KV_"+b.tokensBucket(), prefix+">", next, func(m *jetstream.RawStreamMsg) {
				next, more = m.Sequence+1, true
				if len(m.Data) > 0 { // else it says that there is none any more
					all[strings.TrimPrefix(m.Subject, prefix)] = m.Data
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, ErrNoToken) {
		return nil, nil
	}
	return all, err
}

// withTokens says of an error what the caller branches on.
func (b *Bus) withTokens(ctx context.Context, verb string, do func(context.Context, jetstream.KeyValue) error) error {
	ctx, cancel := question(ctx)
	defer cancel()
	kv, err := b.js.KeyValue(ctx, b.tokensBucket())
	if err == nil {
		err = do(ctx, kv)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return fmt.Errorf("%s: %w", verb, ErrNoToken)
	case errors.Is(err, jetstream.ErrKeyExists), isConflict(err):
		return fmt.Errorf("%s: %w", verb, ErrConflict)
	}
	return fmt.Errorf("%s: %w", verb, plain(err))
}
