package checkpoint

import (
	"context"
	"errors"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// ErrEmpty means that there is no record to sign.
var ErrEmpty = errors.New("the log has no record")

// Create signs what the log is now and appends that, or returns the newest
// checkpoint of the key where nothing but checkpoints came since; made says
// which. Where others append all the time, it covers what was read in one go.
func Create(ctx context.Context, log eventlog.Log, key merkle.Key, source string, now time.Time) (s Signed, made bool, err error) {
	for {
		a, _, err := open(ctx, log, key)
		if err != nil {
			return Signed{}, false, err
		}
		if err := a.catchUp(ctx, log); err != nil {
			return Signed{}, false, err
		}
		switch {
		case a.size() == 0:
			return Signed{}, false, ErrEmpty
		case a.fresh == 0 && a.newest.Size > 0:
			return a.newest, false, nil
		}
		s, err := a.sign(ctx, log, source, now)
		if !errors.Is(err, eventlog.ErrConflict) {
			return s, err == nil, err
		}
	}
}

// catchUp reads what is there.
func (a *account) catchUp(ctx context.Context, log eventlog.Log) error {
	for r, err := range eventlog.Records(ctx, log, a.size()) {
		if err != nil {
			return err
		}
		if _, err := a.take(r); err != nil {
			return err
		}
	}
	return nil
}
