package refusals

import (
	"context"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// OfFile returns err as it is. Where it is about a key or certificate on the disk
// that is not taken, over which the process is about to end, it is recorded first;
// Run must run meanwhile.
func (r *Recorder) OfFile(ctx context.Context, err error) error {
	if refusal := identity.FileRefusal(err); refusal != nil {
		r.Add(events.RefusedFile, "", refusal)
		r.Flush(ctx)
	}
	return err
}
