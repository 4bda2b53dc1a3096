package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bounds of what an import appends at once.
const (
	importMessages = 500
	importBytes    = 4 << 20
)

// Import is a log that is being filled with the records of another one, with
// their sequences and times.
type Import struct {
	log *streamLog
	at  uint64
	end uint64
}

// BeginImport makes the streams for a log that is to have the records through
// a sequence, over which the tree has this root. It goes on with an import of the
// same that was interrupted. A system with a history of its own is ErrNotEmpty,
// and left as it is; so is one where somebody follows the log.
func (b *Bus) BeginImport(ctx context.Context, through uint64, root string) (*Import, error) {
	if b.options.NoConsumers {
		return nil, fmt.Errorf("prepare streams for an import: %w", ErrNotAllowed)
	}
	mark := importMark{through, root}
	l := &streamLog{bus: b, name: b.logStream(), stall: stallAfter}
	s, err := l.stream(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = b.makeForImport(ctx, mark)
	case err == nil:
		err = b.claimForImport(ctx, s.CachedInfo(), mark)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare streams for an import: %w", plain(err))
	}
	var made survey
	if err := b.whenSettled(ctx, func(ctx context.Context) (err error) {
		made, err = b.ensureAll(ctx)
		return err
	}); err != nil {
		return nil, fmt.Errorf("prepare streams for an import: %w", err)
	}
	if len(made.wrong) > 0 {
		return nil, &SettingsError{Mismatches: made.wrong}
	}
	state, err := l.state(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare streams for an import: %w", err)
	}
	return &Import{log: l, at: state.LastSeq, end: through}, nil
}

func (b *Bus) makeForImport(ctx context.Context, mark importMark) error {
	return b.whenSettled(ctx, func(ctx context.Context) error {
		want := b.logConfig()
		want.Metadata = mark.metadata()
		ctx, cancel := question(ctx)
		defer cancel()
		_, err := b.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("%w: somebody made it just now: stop planners and executors first", ErrNotEmpty)
		}
		return err
	})
}

// claimForImport takes a log that is there: one that is empty and that nobody
// follows, or one of the same import.
func (b *Bus) claimForImport(ctx context.Context, info *jetstream.StreamInfo, mark importMark) error {
	have, err := markOf(info.Config)
	switch {
	case err != nil:
		return err
	case have == mark && info.State.LastSeq >= mark.through:
		return fmt.Errorf("%w: this export was imported into it already, and it ends at sequence %d", ErrNotEmpty, info.State.LastSeq)
	case have != mark && info.State.LastSeq > 0 && have.through > info.State.LastSeq:
		return fmt.Errorf("%w: another export is being imported into it, which was interrupted at sequence %d of %d", ErrNotEmpty, info.State.LastSeq, have.through)
	case have != mark && info.State.LastSeq > 0:
		return fmt.Errorf("%w: it ends at sequence %d", ErrNotEmpty, info.State.LastSeq)
	case info.State.Consumers > 0:
		return fmt.Errorf("%w; it is empty, but has consumers: stop planners and executors, and delete stream %s", ErrNotEmpty, info.Config.Name)
	case have == mark:
		return nil
	}
	want := info.Config
	want.Metadata = mark.metadata()
	_, err = ask(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.UpdateStream(ctx, want) })
	return err
}

// At is the sequence that the import is at.
func (i *Import) At() uint64 { return i.at }

// Append appends the records that follow on At. Where it fails, begin again: it
// is not known how many were stored.
func (i *Import) Append(ctx context.Context, records []Record) error {
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && n < importMessages && (n == 0 || size+len(records[n].Message.Data) <= importBytes) {
			size += len(records[n].Message.Data)
			n++
		}
		if err := i.append(ctx, records[:n]); err != nil {
			return fmt.Errorf("import sequence %d to %d: %w", records[0].Sequence, records[n-1].Sequence, err)
		}
		records = records[n:]
	}
	return nil
}

func (i *Import) append(ctx context.Context, records []Record) error {
	batch := make([]*nats.Msg, len(records))
	for n, r := range records {
		if r.Sequence != i.at+uint64(n)+1 || r.Sequence > i.end {
			return fmt.Errorf("%w: it comes behind %d, and the import ends at %d", ErrGap, i.at+uint64(n), i.end)
		}
		batch[n] = imported(r)
		batch[n].Header.Set(jetstream.ExpectedStreamHeader, i.log.name)
	}
	batch[0].Header.Set(jetstream.ExpectedLastSeqHeader, fmt.Sprint(i.at))
	last, err := i.log.publish(ctx, batch)
	switch {
	case isConflict(err):
		return fmt.Errorf("%w: somebody else appends to it: stop them, delete stream %s, and import again: %w", ErrNotEmpty, i.log.name, err)
	case err != nil:
		return err
	case last != records[len(records)-1].Sequence:
		return fmt.Errorf("the server stored the last as sequence %d", last)
	}
	i.at = last
	return nil
}
