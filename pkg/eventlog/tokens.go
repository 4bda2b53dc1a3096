package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoToken means that no record of a join token is stored under an id.
var ErrNoToken = errors.New("no such token")

// tokenMarker is how long the end of a record stays readable, for whoever is
// just reading the bucket.
const tokenMarker = time.Minute

func (b *Bus) tokensBucket() string { return b.streamPrefix() + "_TOKENS" }

// EnsureTokens makes the bucket of join tokens where it is missing, as
// EnsureStreams does, too.
func (b *Bus) EnsureTokens(ctx context.Context) error {
	return b.whenSettled(ctx, b.ensureTokens)
}

func (b *Bus) ensureTokens(ctx context.Context) error {
	// As the client library makes a bucket, which first asks for the account's
	// limits, and a planner may not.
	_, err := b.ensureStream(ctx, jetstream.StreamConfig{
		Name: b.tokenStream(), Description: "Hashes of join tokens", Subjects: []string{b.tokenSubject(">")},
		Storage: jetstream.FileStorage, Replicas: b.replicas(), Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: 1, MaxMsgSize: -1,
		DenyDelete: true, AllowRollup: true, AllowDirect: true,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: tokenMarker,
	})
	if err != nil {
		return fmt.Errorf("ensure key-value bucket %s: %w", b.tokensBucket(), err)
	}
	return nil
}

// The records are those of a NATS key-value bucket, written and read without its
// client: that first asks the server for the bucket, which people may not.

// CreateToken stores a record that is not there yet; ErrConflict if it is. The
// server forgets it after keep, in whole seconds, unless it was updated.
func (b *Bus) CreateToken(ctx context.Context, id string, record []byte, keep time.Duration) error {
	return b.tokens(ctx, "create token", func(ctx context.Context) error {
		m := &nats.Msg{Subject: b.tokenSubject(id), Data: record}
		_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgTTL(keep))
		if !isConflict(err) {
			return err
		}
		last, after, readErr := b.lastToken(ctx, id)
		if readErr != nil || len(last) > 0 {
			return err
		}
		// What is there only says that there is none any more.
		again := &nats.Msg{Subject: b.tokenSubject(id), Data: record}
		_, err = b.js.PublishMsg(ctx, again, jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithMsgTTL(keep))
		return err
	})
}

// Token returns a record and its revision; ErrNoToken if there is none.
func (b *Bus) Token(ctx context.Context, id string) (record []byte, revision uint64, err error) {
	err = b.tokens(ctx, "read token", func(ctx context.Context) error {
		record, revision, err = b.lastToken(ctx, id)
		if err == nil && len(record) == 0 {
			return errNoMessage
		}
		return err
	})
	return record, revision, err
}

// UpdateToken replaces the record of that very revision; ErrConflict if it is
// another by now, or gone. What is updated stays until it is deleted.
func (b *Bus) UpdateToken(ctx context.Context, id string, record []byte, revision uint64) error {
	return b.tokens(ctx, "update token", func(ctx context.Context) error {
		m := &nats.Msg{Subject: b.tokenSubject(id), Data: record}
		_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(revision))
		return err
	})
}

// DeleteToken deletes a record; one that is not there is ErrNoToken.
func (b *Bus) DeleteToken(ctx context.Context, id string) error {
	_, revision, err := b.Token(ctx, id)
	if err != nil {
		return err
	}
	return b.tokens(ctx, "delete token", func(ctx context.Context) error {
		m := nats.NewMsg(b.tokenSubject(id))
		m.Header.Set("KV-Operation", "PURGE")
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		// By this revision, so that nothing is deleted that somebody has just changed.
		_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(tokenMarker))
		return err
	})
}

func (b *Bus) tokenStream() string { return "KV_" + b.tokensBucket() }

func (b *Bus) tokenSubject(id string) string { return "$KV." + b.tokensBucket() + "." + id }

// lastToken is the newest record of an id; an empty one says that there is none
// any more.
func (b *Bus) lastToken(ctx context.Context, id string) (record []byte, revision uint64, err error) {
	m, err := b.getDirect(ctx, b.tokenStream(), map[string]any{"last_by_subj": b.tokenSubject(id)})
	return m.Data, m.Seq, err
}

// Tokens returns all records by their ids; none where there is no bucket.
func (b *Bus) Tokens(ctx context.Context) (map[string][]byte, error) {
	all := make(map[string][]byte)
	err := b.tokens(ctx, "list tokens", func(ctx context.Context) error {
		prefix := b.tokenSubject("")
		for next, more := uint64(1), true; more; {
			more = false
			err := b.page(ctx, b.tokenStream(), prefix+">", next, func(m *jetstream.RawStreamMsg) {
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

// tokens says of an error what the caller branches on.
func (b *Bus) tokens(ctx context.Context, verb string, do func(context.Context) error) error {
	ctx, cancel := question(ctx)
	defer cancel()
	err := do(ctx)
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return fmt.Errorf("%s: %w", verb, ErrConflict)
	case errors.Is(err, errNoMessage), errors.Is(err, jetstream.ErrStreamNotFound),
		errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %w", verb, ErrNoToken)
	}
	return fmt.Errorf("%s: %w", verb, plain(err))
}
