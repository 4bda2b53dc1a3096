package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// ErrNotIssued means that no credential was issued at a sequence of the log.
var ErrNotIssued = errors.New("no credential was issued there")

// Reader reads records of a log, as Log does.
type Reader interface {
	Read(ctx context.Context, after uint64, limit int) ([]Record, error)
}

// IssuedAt is the credential.issued with that sequence. A fold keeps where a
// certificate stands on the log, and not its text, which is four times as large
// as all else it keeps of a node; whoever needs the text reads it here.
func IssuedAt(ctx context.Context, log Reader, sequence uint64) (*events.CredentialIssued, error) {
	if sequence == 0 {
		return nil, ErrNotIssued
	}
	records, err := log.Read(ctx, sequence-1, 1)
	if err != nil {
		return nil, fmt.Errorf("read credential issued at %d: %w", sequence, err)
	}
	if len(records) > 0 && records[0].Sequence == sequence && records[0].Event != nil {
		if d, ok := records[0].Event.Data.(*events.CredentialIssued); ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("read credential issued at %d: %w", sequence, ErrNotIssued)
}
