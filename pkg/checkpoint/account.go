package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// ErrMismatch means that a checkpoint of the key stands on the log that these
// records do not have.
var ErrMismatch = errors.New("checkpoint does not match the log")

// Signed is a checkpoint that stands on the log.
type Signed struct {
	// Sequence of the record that it is.
	Sequence uint64
	// Time it was appended.
	Time time.Time
	merkle.Checkpoint
	// Note is the checkpoint with its signature.
	Note []byte
	// Frontier of the tree with that size.
	Frontier []merkle.Hash
}

// Of is the checkpoint that a record is. Nobody has verified it yet.
func Of(r eventlog.Record) (Signed, error) {
	if r.Event == nil {
		return Signed{}, fmt.Errorf("sequence %d is no event: %w", r.Sequence, r.Err)
	}
	d, ok := r.Event.Data.(*events.CheckpointSigned)
	if !ok {
		return Signed{}, fmt.Errorf("sequence %d is no checkpoint but %s", r.Sequence, r.Event.Type)
	}
	s := Signed{Sequence: r.Sequence, Time: r.Time, Note: []byte(d.Note)}
	var err error
	if s.Checkpoint, err = merkle.Read(s.Note); err != nil {
		return Signed{}, fmt.Errorf("sequence %d: %w", r.Sequence, err)
	}
	if s.Size != d.Size || s.Size >= r.Sequence {
		return Signed{}, fmt.Errorf("sequence %d: its note is about size %d, its data about %d", r.Sequence, s.Size, d.Size)
	}
	for _, text := range d.Frontier {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return Signed{}, fmt.Errorf("sequence %d: frontier: %w", r.Sequence, err)
		}
		s.Frontier = append(s.Frontier, h)
	}
	return s, nil
}

// Newest is the newest checkpoint on the log, and the last sequence on its
// subject, 0 for none. The error says that what stands there is none.
func Newest(ctx context.Context, log eventlog.Log) (Signed, uint64, error) {
	seq, err := log.LastOn(ctx, log.Subjects().Checkpoint())
	if err != nil || seq == 0 {
		return Signed{}, 0, err
	}
	records, err := log.Read(ctx, seq-1, 1)
	if err != nil {
		return Signed{}, 0, err
	}
	if len(records) == 0 {
		return Signed{}, 0, fmt.Errorf("read sequence %d: %w", seq, eventlog.ErrGap)
	}
	s, err := Of(records[0])
	if err != nil {
		return Signed{}, seq, &unfit{err}
	}
	return s, seq, nil
}

// unfit is an error about what somebody wrote, and not about reading it.
type unfit struct{ err error }

func (u *unfit) Error() string { return u.err.Error() }
func (u *unfit) Unwrap() error { return u.err }

// account is the tree over a log, up to what was read, and what of it is signed.
type account struct {
	subjects events.Subjects
	key      merkle.Key
	tree     *merkle.Recent
	// fence is the last sequence on the subject of checkpoints.
	fence uint64
	// newest by this key; its Size is 0 for none.
	newest Signed
	// fresh counts the records that it does not cover, but for checkpoints.
	fresh uint64
}

// open goes on from the newest checkpoint of the key. Where there is none that
// holds, the account begins with the first record, and why says it.
func open(ctx context.Context, log eventlog.Log, key merkle.Key) (a *account, why error, err error) {
	a = &account{subjects: log.Subjects(), key: key, tree: merkle.NewRecent(new(merkle.Frontier))}
	s, seq, err := Newest(ctx, log)
	var misfit *unfit
	switch {
	case errors.As(err, &misfit):
		return a, err, nil
	case err != nil:
		return nil, nil, fmt.Errorf("look for a checkpoint: %w", err)
	case seq == 0:
		return a, nil, nil
	}
	if _, err := merkle.Open(s.Note, key.Public); err != nil {
		return a, err, nil
	}
	f, err := merkle.Resume(s.Checkpoint, s.Frontier)
	if err != nil {
		return a, err, nil
	}
	a.tree, a.newest = merkle.NewRecent(f), s
	return a, nil, nil
}

func (a *account) size() uint64 { return a.tree.Frontier().Size() }

// take adds the next record. The error is ErrMismatch; why says of a record on
// the subject of checkpoints that it is none of this key.
func (a *account) take(r eventlog.Record) (why, err error) {
	if r.Sequence != a.size()+1 {
		return nil, fmt.Errorf("%w: sequence %d follows on %d", eventlog.ErrGap, r.Sequence, a.size())
	}
	a.tree.Append(merkle.LeafOf(r))
	if r.Message.Subject != a.subjects.Checkpoint() {
		a.fresh++
		return nil, nil
	}
	a.fence = r.Sequence
	s, err := Of(r)
	if err == nil {
		_, err = merkle.Open(s.Note, a.key.Public)
	}
	if err != nil {
		return err, nil
	}
	if root, known := a.tree.RootAt(s.Size); known && root != s.Root {
		return nil, fmt.Errorf("%w: sequence %d says that the log had root %s at %d, it had %s", ErrMismatch, s.Sequence, s.Root, s.Size, root)
	}
	if s.Size <= a.newest.Size {
		return fmt.Errorf("sequence %d repeats a checkpoint of size %d, after one of %d", r.Sequence, s.Size, a.newest.Size), nil
	}
	a.newest, a.fresh = s, r.Sequence-1-s.Size
	return nil, nil
}

// sign appends a checkpoint of what was read.
func (a *account) sign(ctx context.Context, log eventlog.Log, source string, now time.Time) (Signed, error) {
	f := a.tree.Frontier()
	s := Signed{Time: now, Checkpoint: merkle.Checkpoint{Origin: a.key.Name(), Size: f.Size(), Root: f.Root()}, Frontier: f.Edge()}
	var err error
	if s.Note, err = merkle.Sign(s.Checkpoint, a.key); err != nil {
		return Signed{}, err
	}
	d := &events.CheckpointSigned{Size: s.Size, Note: string(s.Note)}
	for _, h := range s.Frontier {
		d.Frontier = append(d.Frontier, h.String())
	}
	s.Sequence, err = log.Append(ctx, eventlog.Entry{
		Event: &events.Event{
			ID: events.NewID("checkpoint", string(s.Note)), Source: source, Type: events.TypeCheckpointSigned, Time: now, Data: d,
		},
		Fence: eventlog.LastOnSubject(a.fence),
	})
	if err != nil {
		return Signed{}, fmt.Errorf("publish checkpoint of size %d: %w", s.Size, err)
	}
	return s, nil
}
