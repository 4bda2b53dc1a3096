package eventlog

import (
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// errUnfit means that what was to be appended is no batch of this log. Nothing
// was sent.
var errUnfit = errors.New("not fit to be appended")

// unfitError says in its own words what errUnfit means.
type unfitError struct{ error }

func (unfitError) Is(target error) bool { return target == errUnfit }
func (e unfitError) Unwrap() error      { return e.error }

// prepare checks a batch and encodes it. Whatever it refuses changed nothing,
// whichever log it was meant for.
func prepare(s events.Subjects, entries []Entry) ([]events.Message, error) {
	messages, err := encode(s, entries)
	if err != nil {
		return nil, unfitError{err}
	}
	return messages, nil
}

func encode(s events.Subjects, entries []Entry) ([]events.Message, error) {
	if len(entries) == 0 {
		return nil, errors.New("batch has no entries")
	}
	if len(entries) > MaxBatch {
		return nil, fmt.Errorf("%w: %d entries, at most %d", ErrTooLarge, len(entries), MaxBatch)
	}
	messages := make([]events.Message, len(entries))
	written := make(map[string]bool, len(entries))
	for i, e := range entries {
		m, err := e.encode(s)
		if err != nil {
			return nil, fmt.Errorf("encode entry %d of %d: %w", i+1, len(entries), err)
		}
		switch {
		case e.Fence.kind == fenceLog && i > 0:
			return nil, fmt.Errorf("entry %d of %d: only the first entry may be fenced on the whole log", i+1, len(entries))
		case e.Fence.kind == fenceSubject && written[m.Subject]:
			return nil, fmt.Errorf("entry %d of %d: fenced on %s, which the same batch writes before it", i+1, len(entries), m.Subject)
		}
		written[m.Subject] = true
		messages[i] = m
	}
	return messages, nil
}

// record decodes a message of the log. One that does not fit is a record too:
// it has a sequence and must be stepped over.
func record(s events.Subjects, r Record) Record {
	r.Event, r.Err = events.Decode(s, r.Message)
	return r
}
